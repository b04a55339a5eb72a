// What a request's `model` names: clients that can set nothing else choose a document by it.

/// The names under which models are listed and asked.
public enum ModelName {
    /// `caked/NAME` is the loaded model, answering about the document of that name.
    public static let documentPrefix = "caked/"

    /// The name under which a document is asked.
    public static func name(ofDocument document: String) -> String { documentPrefix + document }

    /// The document that a model's name means; nil where it is no document's.
    public static func document(of model: String) -> String? {
        model.hasPrefix(documentPrefix) ? String(model.dropFirst(documentPrefix.count)) : nil
    }
}
