// Feeds the template engine sources that libFuzzer invents: a typed error, or a text in which every marked letter is
// the chat's.

import FuzzDriver
import Jinja

@main
enum TemplateFuzz {
    private static let now = Moment(year: 2026, month: 11, day: 28, hour: 13, minute: 5)
    /// A letter of the private use area, which no template writes but by taking it from a message, or by its number.
    private static let letter: Unicode.Scalar = "\u{E7F3}"
    private static let content = " \(letter)ne\n\"two\" \(letter)\(letter) <three> "

    static func main() {
        fuzz { bytes in
            let source = String(decoding: bytes, as: UTF8.self)
            if source.unicodeScalars.contains(letter) || source.lowercased().contains("e7f3") { return }
            render(source)
            // Most of what is invented is no template: the same as an expression, and as the body of a loop.
            if !source.contains("%}"), !source.contains("}}") { render("{{ " + source + " }}") }
            render("{% for m in messages %}" + source + "{% endfor %}")
        }
    }

    private static func render(_ source: String) {
        guard let template = try? Template(source),
            let text = try? template.render(variables, now: now)
        else { return }
        for (mark, part) in text.stretches {
            precondition(mark <= 1, "a mark that nobody gave")
            precondition(mark == 1 || !part.unicodeScalars.contains(letter), "a message's letter has lost its mark")
        }
    }

    private static let variables: [Datum.Entry] = [
        .init(
            "messages",
            .list([
                .dict([.init("role", .text("system")), .init("content", .text(Text(content, mark: 1)))]),
                .dict([
                    .init("role", .text("user")), .init("content", .text(Text(content + content, mark: 1))),
                    .init("parts", .list([.integer(1), .float(2.5), .none, .bool(true)])),
                ]),
            ])),
        .init("bos_token", .text("<s>")), .init("add_generation_prompt", .bool(true)), .init("tools", .none),
    ]
}
