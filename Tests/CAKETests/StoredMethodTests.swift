// Methods as documents keep them: every one comes back as it was, and no file can make one that traps.

import CAKE
import Foundation
import Testing

@Suite("Stored methods")
struct StoredMethodTests {
    static let methods = Method.presetNames.flatMap { name in
        Method.Effort.allCases.compactMap { effort in (try? Method.preset(name))?.with(effort: effort) }
    }

    @Test("every preset with every effort comes back as it was", arguments: methods)
    func roundTrip(_ method: Method) throws {
        let json = try JSONEncoder().encode(StoredMethod(method))
        #expect(try JSONDecoder().decode(StoredMethod.self, from: json).usable == method)
    }

    /// `cake-global` as JSON, and what each case puts in the place of a part.
    private static func altered(_ part: String, _ replacement: String) throws -> StoredMethod {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let json = String(decoding: try encoder.encode(StoredMethod(Method.preset("cake-global"))), as: UTF8.self)
        let range = try #require(json.range(of: part), "\(json)")
        return try JSONDecoder().decode(
            StoredMethod.self, from: Data(json.replacingCharacters(in: range, with: replacement).utf8))
    }

    @Test(
        "impossible parts are refused",
        arguments: [
            (#""chunkRows":512"#, #""chunkRows":0"#), (#""chunkRows":512"#, #""chunkRows":9000000000"#),
            (#""tau1":1"#, #""tau1":0"#), (#""tau2":1"#, #""tau2":-1"#), (#""share":0.3"#, #""share":1.5"#),
            (#""share":0.3"#, #""share":0.1"#), (#""floorShare":0.2"#, #""floorShare":-0.1"#),
            (#""protectedTokens":4"#, #""protectedTokens":-1"#), (#""recentTokens":0"#, #""recentTokens":9000000000"#),
            (#"{"pooledMaximum":{}}"#, #"{"largestChange":{"poolWidth":4}}"#),
            (#"{"pooledMaximum":{}}"#, #"{"meanPlusVariance":{"gamma":200,"poolWidth":0}}"#),
            (#""version":1"#, #""version":2"#), (#"{"equal":{}}"#, #"{"compete":{"safeguard":2}}"#),
        ])
    func refused(_ part: String, _ replacement: String) throws {
        #expect(try Self.altered(part, replacement).usable == nil)
    }

    @Test("other possible parts are taken, and make another method")
    func otherParts() throws {
        let changed = try Self.altered(#""share":0.3"#, #""share":0.5"#).usable
        let preset = try Method.preset("cake-global")
        #expect(changed != nil && changed != preset)
    }
}
