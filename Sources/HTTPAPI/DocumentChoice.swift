// Which document a question is about: named in its body, by its `model`, or in a header.

import API
import HTTPTypes

extension HTTPField.Name {
    /// Names the document of a question, for clients that can set headers but no fields.
    static let cakedDocument = HTTPField.Name("X-Caked-Document")
}

/// The ways in which a question may name its document; two that differ are refused.
enum DocumentChoice {
    static func document(
        _ body: CompletionBody, header: String?, loaded: String
    ) throws -> String? {
        var named: [(String, param: String)] = []
        if let document = body.document { named.append((document, "document")) }
        if let header, !header.isEmpty { named.append((header, "X-Caked-Document")) }
        // A model file may be called so, too.
        if let model = body.model, !model.isEmpty, model != loaded {
            guard let document = ModelName.document(of: model) else {
                throw APIError(
                    .notFound, "model_not_found",
                    "the loaded model is `\(loaded)`; name it, or `\(ModelName.name(ofDocument: "NAME"))` for a "
                        + "document's, or leave `model` out", param: "model")
            }
            named.append((try DocumentName.checked(document, param: "model"), "model"))
        }
        guard let first = named.first else { return nil }
        if let other = named.first(where: { $0.0 != first.0 }) {
            throw RequestError.invalid(
                "`\(first.param)` and `\(other.param)` name two documents; name one", param: other.param)
        }
        return first.0
    }
}
