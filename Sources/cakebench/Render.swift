// cakebench render: messages in, the prompt a chat template makes of them out.

import API
import ArgumentParser
import FoundationEssentials
import Inference
import Jinja
import Tokenizers

struct Render: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads a JSON array of messages from standard input and prints the prompt that asks for an answer.",
        discussion: """
            With --template the prompt is what jinja2 makes of that file; with --model it is what the daemon renders \
            for that model, which asks templates that can reason not to.
            """)

    @Option(name: .long, help: "A file with a jinja template.")
    var template: String?

    @Option(name: .long, help: "The text of the begin-of-text token, with --template.")
    var bos = ""

    @Option(name: .long, help: "The text of the end-of-text token, with --template.")
    var eos = ""

    @Option(name: .long, help: "The GGUF file whose template it is.")
    var model: String?

    @Option(name: .long, help: "The date that the template is told, YYYY-MM-DD (default: today).")
    var date: String?

    mutating func run() throws {
        let now = try date.map(Self.moment) ?? .now
        let input = try StandardInput.readAll()
        let messages = try JSONText.decode([API.ChatMessage].self, from: input)
        switch (template, model) {
        case (let file?, nil): print(try rendered(messages, file: file, now: now), terminator: "")
        case (nil, let model?):
            let template = try LoadedModel.template(path: model, templateName: nil)
            let turns = messages.map { message in
                Tokenizers.ChatMessage(
                    role: Tokenizers.ChatMessage.Role(rawValue: message.role.rawValue) ?? .user,
                    content: message.content)
            }
            print(try template.render(turns, now: now).map(\.content).joined(), terminator: "")
        default: throw ValidationError("give either --template or --model")
        }
    }

    private func rendered(_ messages: [API.ChatMessage], file: String, now: Moment) throws -> String {
        guard let source = String(validating: try readFile(file), as: UTF8.self) else {
            throw ValidationError("\(file) is not UTF-8")
        }
        let list = messages.map {
            Datum.dict([.init("role", .text($0.role.rawValue)), .init("content", .text($0.content))])
        }
        return try Template(source).render(
            [
                .init("messages", .list(list)), .init("bos_token", .text(bos)), .init("eos_token", .text(eos)),
                .init("add_generation_prompt", .bool(true)),
            ], now: now
        ).string
    }

    private static func moment(_ date: String) throws -> Moment {
        let parts = date.split(separator: "-").compactMap { Int($0) }
        guard parts.count == 3, (1...12).contains(parts[1]), (1...31).contains(parts[2]), (1...9999).contains(parts[0])
        else { throw ValidationError("--date wants YYYY-MM-DD") }
        return Moment(year: parts[0], month: parts[1], day: parts[2])
    }
}
