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
            case 0: request(CompletionBody.self, body, .completion)
            case 1: request(PutBody.self, body, .put)
            case 2: request(DocumentChange.self, body, .change)
            default:
                let query = String(decoding: bytes.dropFirst(), as: UTF8.self)
                _ = try? RequestFields.putQuery.warnings(query: query, .warn)
                _ = try? DocumentOptions(query: query)
            }
        }
    }

    private static func request<T: Decodable>(
        _ type: T.Type, _ body: some RandomAccessCollection<UInt8>, _ fields: RequestFields
    ) {
        _ = try? JSONText.request(type, from: body, maxDepth: maxDepth, fields: fields, unknown: .warn)
    }
}
