// Why a model, a prompt or an option is refused: every case names the cause, its description also the mend.

import CAKE
import GGUF

/// Why this module refuses a file, tokens or options.
public enum ModelError: Error, Equatable, Sendable {
    // The file
    case file(GGUFError)
    case unsupportedArchitecture(String)
    case missingKey(String)
    case invalidValue(key: String, value: String, needed: String)
    case unsupportedFeature(key: String, value: String, feature: String)
    case missingTensor(String)
    case unsupportedTensor(String)
    case wrongShape(tensor: String, dimensions: [Int], expected: [Int])
    case unsupportedTensorType(tensor: String, type: String)
    case tensorNotFinite(String)

    // The request
    case emptyPrompt
    case contextExceeded(tokens: Int, contextLength: Int)
    case tokenOutOfRange(Int32, vocabulary: Int)
    case invalidBatch(String)
    case unsupportedRows(KVRows, headWidth: Int)
    case baseMismatch(String)
    case invalidOption(name: String, value: String, needed: String)
    case eviction(CAKEError)
    case unusableCheckpoint(String)

    // The machine
    case outOfMemory(bytes: Int)
    case threadsUnavailable(wanted: Int, errno: Int32)
    case logitsNotFinite(token: Int)
    case layerNotFinite(layer: Int, row: Int)
}

extension ModelError: CustomStringConvertible {
    /// The cause and the mend.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .unsupportedArchitecture, .missingKey, .invalidValue, .unsupportedFeature, .missingTensor,
            .unsupportedTensor, .wrongShape, .unsupportedTensorType, .tensorNotFinite:
            fileDescription
        case .outOfMemory(let bytes):
            "\(bytes) bytes of memory could not be had. Free memory, or read a shorter document."
        case .threadsUnavailable(let wanted, let errno):
            "\(wanted) compute threads could not be started (errno \(errno)). Configure fewer threads."
        case .logitsNotFinite(let token):
            "the model computed a logit that is not a number (token \(token)). The model file is damaged or not meant "
                + "for inference: download it again."
        case .layerNotFinite(let layer, let row):
            "the model computed what is not a number (layer \(layer), token \(row) of the text). The model file is "
                + "damaged or not meant for inference: download it again."
        default: requestDescription
        }
    }

    private var fileDescription: String {
        switch self {
        case .unsupportedArchitecture(let name):
            "the model's architecture \"\(printable(name))\" is not supported; "
                + "these are: \(ModelConfiguration.architectures.joined(separator: ", ")). Use a model of one of them."
        case .missingKey(let key):
            "the model file has no \(printable(key)). Convert the model again with a current llama.cpp."
        case .invalidValue(let key, let value, let needed):
            "the model file's \(printable(key)) is \(printable(value)), but \(needed) is needed. "
                + "Convert the model again with a current llama.cpp."
        case .unsupportedFeature(let key, let value, let feature):
            "\(feature) is not supported (\(printable(key)) is \(printable(value))). Use a model without it."
        case .missingTensor(let name):
            "the model file has no tensor \(printable(name)). Download it again, or convert the model again."
        case .unsupportedTensor(let name):
            "the model has a tensor \(printable(name)), a part of a network that is not supported. "
                + "Use a plain model of one of these: \(ModelConfiguration.architectures.joined(separator: ", "))."
        case .wrongShape(let tensor, let dimensions, let expected):
            "the tensor \(printable(tensor)) is \(dimensions), but the model's metadata make it \(expected). "
                + "Convert the model again with a current llama.cpp."
        case .unsupportedTensorType(let tensor, let type):
            "the tensor \(printable(tensor)) is of type \(type), which is not supported here; "
                + "quantise the model to \(Linear.supportedTypes.map(\.name).joined(separator: ", "))."
        case .tensorNotFinite(let name):
            "the tensor \(printable(name)) holds what is not a number. The model file is damaged: download it again."
        default: ""
        }
    }

    private var requestDescription: String {
        switch self {
        case .emptyPrompt: "there is nothing to read: no tokens. Give at least one."
        case .contextExceeded(let tokens, let contextLength):
            "\(tokens) tokens do not fit the model's context of \(contextLength). Shorten the text."
        case .tokenOutOfRange(let id, let vocabulary):
            "the token id \(id) is not in the model's vocabulary of \(vocabulary). "
                + "Tokenize with the model's own vocabulary."
        case .invalidBatch(let reason): "the batch is not valid: \(reason)."
        case .unsupportedRows(let rows, let headWidth):
            "cache rows of type \(rows.rawValue) need a head width that is a multiple of \(rows.blockElements), "
                + "and the model's is \(headWidth). Choose f16."
        case .baseMismatch(let reason): "the cached document does not fit the model: \(reason). Cache it again."
        case .invalidOption(let name, let value, let needed): "\(name) is \(value); it must be \(needed)."
        case .eviction(let error): error.description
        case .unusableCheckpoint(let reason): "the reading cannot go on where it stopped: \(reason). Begin it again."
        default: ""
        }
    }
}

/// Text from an untrusted file, as it may stand in a log line.
private func printable(_ text: String) -> String {
    text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 } && text.utf8.count <= 120
        ? text : String(text.prefix(80)).debugDescription
}
