// Feeds the decoders of request bodies and queries what libFuzzer invents: a stated refusal or a sound request.

import API
import FuzzDriver

@main
enum RequestFuzz {
    /// As the server's limit.
    private static let maxDepth = 64

    static func main() {
        fuzz { bytes in
            guard let kind = bytes.first else { return }
            let body = bytes.dropFirst()
            switch kind % 4 {
            case 0: _ = try? JSONText.request(CompletionBody.self, from: body, maxDepth: maxDepth)
            case 1: _ = try? JSONText.request(PutBody.self, from: body, maxDepth: maxDepth)
            case 2: _ = try? JSONText.request(DocumentChange.self, from: body, maxDepth: maxDepth)
            default: _ = try? DocumentOptions(query: String(decoding: bytes.dropFirst(), as: UTF8.self))
            }
        }
    }
}
