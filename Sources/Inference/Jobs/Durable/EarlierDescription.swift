// What was asked, as it was written down before its options were one value: an upgrade goes on with what they had
// promised.

import API
import EngineInterface

/// The description in a job's file, with the options beside the name.
struct EarlierDescription: Decodable {
    /// The former encoding of `Keep`.
    enum EarlierKeep: Decodable {
        case percent(Double)
        case budget(Int)
        case auto

        var keep: Keep {
            switch self {
            case .percent(let percent): .percent(percent)
            case .budget(let budget): .budget(budget)
            case .auto: .auto
            }
        }
    }

    /// The former fields of `PutRequest`.
    struct EarlierRequest: Decodable {
        var owner: UInt32
        var name: String
        var keep: EarlierKeep?
        var method: String?
        var effort: String?
        var probes: [String]
        var rows: String?
        var ttlSeconds: Int?
        var pinned: Bool
        var detached: Bool
        var check: Bool?
        var user: UInt32

        var request: PutRequest {
            PutRequest(
                owner: owner, name: name, text: [],
                options: DocumentOptions(
                    keep: keep?.keep, method: method, effort: effort, probes: probes, rows: rows,
                    ttlSeconds: ttlSeconds, pinned: pinned, detached: detached, check: check),
                user: user)
        }
    }

    var request: EarlierRequest
    var textBytes: Int
}
