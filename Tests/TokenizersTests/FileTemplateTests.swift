// Templates that a model's file brings: what they render, and where a document stands in it.

import Foundation
import Jinja
import Testing
import Tokenizers

@Suite struct FileTemplateTests {
    private static let now = Moment(year: 2026, month: 11, day: 28)

    private static func template(_ source: String) throws -> ChatTemplate {
        try ChatTemplate(jinja: source, beginOfText: "<s>", endOfText: "</s>")
    }

    private static func chat(_ contents: String...) -> [ChatMessage] {
        contents.enumerated().map {
            ChatMessage(role: $0.offset.isMultiple(of: 2) ? .user : .assistant, content: $0.element)
        }
    }

    private static func text(_ segments: [PromptSegment]) -> String { segments.map(\.content).joined() }

    private static let turns = """
        {{ bos_token }}{% if messages[0].role != 'system' %}<|system|>Be kind.<|end|>{% endif %}
        {% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}<|end|>{% endfor %}
        {% if add_generation_prompt %}<|assistant|><think>{% if not enable_thinking %}</think>{% endif %}{% endif %}
        """

    @Test("a chat is what the template writes, its own system turn and tokens with it, and reasoning off")
    func rendered() throws {
        let template = try Self.template(Self.turns)
        #expect(template.name == "jinja")
        #expect(template.source == Self.turns)
        #expect(
            try template.render(Self.chat(" Q "), now: Self.now) == [
                .template("<s><|system|>Be kind.<|end|><|user|>"), .text("Q"),
                .template("<|end|><|assistant|><think></think>"),
            ])
        #expect(
            Self.text(
                try template.render(
                    [ChatMessage(role: .system, content: "S"), ChatMessage(role: .user, content: "Q")],
                    arguments: [.init("enable_thinking", .bool(true))], now: Self.now))
                == "<s><|system|>S<|end|><|user|>Q<|end|><|assistant|><think>")
    }

    @Test(
        "what people write is text, whatever the template does with it",
        arguments: [
            "{% for m in messages %}<s>{{ m.content }}</s>{% endfor %}",
            "{% for m in messages %}<s>{{ '[' + m.content.strip() + ']' }}</s>{% endfor %}",
            "{% for m in messages %}<s>{{ m.content | replace('x', 'y') | upper }}</s>{% endfor %}",
            "{% for m in messages %}<s>{{ m.content.split('|')[0] }}{{ m.content[3:] }}</s>{% endfor %}",
            "{{ messages | tojson }}",
            "{% macro f(m) %}{{ m.content }}{% endmacro %}{% for m in messages %}{{ f(m) }}{% endfor %}",
            "{% set x %}{{ messages[0].content }}{% endset %}{{ x | trim }}",
        ])
    func textStaysText(source: String) throws {
        let segments = try Self.template(source).render(Self.chat("</s><|end|><S>x"), now: Self.now)
        let own = segments.compactMap { if case .template(let text) = $0 { text } else { nil } }.joined()
        #expect(!own.contains("|end|"))
        #expect(own.components(separatedBy: "</s>").count <= 2)
        #expect(segments.contains { if case .text = $0 { true } else { false } })
    }

    @Test(
        "a document and then a question are the chat with the document put before it",
        arguments: [
            ("D", ["Q"]), (" A  document. \n", ["\n what? "]), ("</s>", ["<|end|>"]), ("é\u{301}", ["\u{301}"]),
            ("D", ["Q", "A", "R"]), (" \n", ["Q"]), ("D", [""]),
        ])
    func documentPrefix(document: String, contents: [String]) throws {
        let template = try Self.template(Self.turns)
        var messages = contents.enumerated().map {
            ChatMessage(role: $0.offset.isMultiple(of: 2) ? .user : .assistant, content: $0.element)
        }
        let prefix = try template.documentPrefix(document, now: Self.now)
        let split = Self.text(prefix + (try template.continuation(messages, now: Self.now)))
        messages[0].content = document + "\n\n" + messages[0].content
        let whole = Self.text(try template.render(messages, now: Self.now))
        // Of an empty question the template strips the blank line, which has been read.
        #expect(contents == [""] ? split.replacing("\n", with: "") == whole.replacing("\n", with: "") : split == whole)
    }

    @Test("after a document a system message stands before its question, and later ones where the template puts them")
    func systemAfterDocument() throws {
        let template = try Self.template(Self.turns)
        let messages = [ChatMessage(role: .system, content: "S")] + Self.chat("Q", "A", "R")
        #expect(
            try template.continuation(messages, now: Self.now)
                == template.continuation(Self.chat("S\n\nQ", "A", "R"), now: Self.now))
    }

    @Test("what the template refuses is refused in its words")
    func refused() throws {
        let template = try Self.template("{{ raise_exception('Only ' ~ messages[0].role ~ 's, please.') }}")
        #expect(throws: TokenizerError.refusedByTemplate("Only users, please.")) {
            try template.render(Self.chat("Q"), now: Self.now)
        }
        let broken = try Self.template("{{ messages[0].nothing.more }}")
        let error = #expect(throws: TokenizerError.self) { try broken.render(Self.chat("Q"), now: Self.now) }
        #expect(error?.description.contains("'dict object' has no attribute 'nothing'") == true)
        #expect(error?.description.contains("`template`") == true)
    }

    @Test("a source that is no jinja is refused where it is loaded")
    func syntax() {
        let error = #expect(throws: TokenizerError.self) { try Self.template("{% if %}") }
        #expect(error?.description.contains("line 1") == true)
    }

    @Test("every order of roles that the template writes is taken")
    func orders() throws {
        let template = try Self.template(Self.turns)
        let user = ChatMessage(role: .user, content: "Q")
        let assistant = ChatMessage(role: .assistant, content: "A")
        #expect(
            Self.text(try template.render([assistant, user, user], now: Self.now)).contains(
                "<|assistant|>A<|end|><|user|>Q"))
        #expect(Self.text(try template.continuation([user, user], now: Self.now)).contains("Q<|end|><|user|>Q"))
        #expect(throws: TokenizerError.emptyMessages) { try template.render([], now: Self.now) }
        #expect(throws: TokenizerError.documentWithoutQuestion) {
            try template.continuation([assistant, user], now: Self.now)
        }
    }

    @Test(
        "a chat that changes what was read before the first question is refused",
        arguments: [
            "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}",
            "{{ messages[-1].content }}{% for m in messages %}{{ m.content }}{% endfor %}",
            "{% for m in messages | reverse %}{{ m.content }}{% endfor %}",
            "{% for m in messages[1:] %}{{ m.content }}{% endfor %}",
            "{{ messages[0].content }}{{ messages[0].content }}",
        ])
    func changedPrefix(source: String) throws {
        let template = try Self.template(source)
        #expect(throws: TokenizerError.changedPrefix) {
            try template.continuation(Self.chat("Q", "A", "R"), now: Self.now)
        }
    }

    @Test("arguments that change what was read are refused too")
    func changedByArguments() throws {
        let template = try Self.template("{{ enable_thinking }}{% for m in messages %}{{ m.content }}{% endfor %}")
        // What is configured goes over the standard, and a request's over both.
        let thinking = template.with([.init("enable_thinking", .bool(true))])
        #expect(try thinking.render(Self.chat("Q"), now: Self.now).map(\.content).joined() == "TrueQ")
        #expect(
            try thinking.render(Self.chat("Q"), arguments: [.init("enable_thinking", .bool(false))], now: Self.now)
                .map(\.content).joined() == "FalseQ")
        #expect(throws: TokenizerError.changedPrefix) {
            try template.continuation(
                Self.chat("Q"), arguments: [.init("enable_thinking", .bool(true))], now: Self.now)
        }
    }

    @Test("what a request gives the template is text, and goes over what templates are given otherwise")
    func arguments() throws {
        let template = try Self.template("<s>{{ style }}{{ enable_thinking }}{{ nested.list[0] }}{{ bos_token }}")
        let arguments: [Datum.Entry] = [
            .init("style", .text("</s>")), .init("enable_thinking", .bool(true)), .init("bos_token", .text("no")),
            .init("nested", .dict([.init("list", .list([.text("</s>")]))])),
        ]
        #expect(
            try template.render(Self.chat("Q"), arguments: arguments, now: Self.now) == [
                .template("<s>"), .text("</s>"), .template("True"), .text("</s>"), .template("<s>"),
            ])
    }

    @Test("a date before the document is that of the day")
    func date() throws {
        let template = try Self.template("<|system|>{{ strftime_now('%d %b %Y') }}<|user|>{{ messages[0].content }}")
        #expect(Self.text(try template.documentPrefix("D", now: Self.now)) == "<|system|>28 Nov 2026<|user|>D\n\n")
        let later = Moment(year: 2027, month: 1, day: 2)
        #expect(try template.continuation(Self.chat("Q"), now: later) == [.text("Q")])
    }

    @Test("begin-of-text that the template writes is not doubled")
    func beginOfText() throws {
        var vocabulary = Synthetic.byteLevel(merges: [], specials: ["<s>", "</s>"])
        (vocabulary.beginOfText, vocabulary.addsBeginOfText) = (256, true)
        let tokenizer = try Tokenizer(vocabulary)
        for source in ["{{ bos_token }}{{ messages[0].content }}", "{{ messages[0].content }}"] {
            let ids = tokenizer.encode(try Self.template(source).render(Self.chat("<s>"), now: Self.now))
            #expect(ids == [256] + "<s>".utf8.map { Int32($0) })
        }
    }

    @Test(
        "published templates take a document before the first question",
        .enabled(if: !publishedNames.isEmpty, "fixtures/templates is missing"), arguments: publishedNames)
    func documentInPublished(name: String) throws {
        let source = try String(contentsOf: Self.published.appending(path: name), encoding: .utf8)
        let template = try Self.template(source)
        for contents in [["Who signed?"], ["Who?", "Ada.", "When?"]] {
            var messages = contents.enumerated().map {
                ChatMessage(role: $0.offset.isMultiple(of: 2) ? .user : .assistant, content: $0.element)
            }
            // One template assigns to what isn't a namespace as soon as there is an answer, in jinja2 too.
            if name.hasPrefix("MiroThinker"), contents.count > 1 { continue }
            let prefix = try template.documentPrefix("<|im_end|> A text.</s> ", now: Self.now)
            let continuation = try template.continuation(messages, now: Self.now)
            messages[0].content = "<|im_end|> A text.</s> \n\n" + messages[0].content
            #expect(Self.text(prefix + continuation) == Self.text(try template.render(messages, now: Self.now)))
            for case .template(let own) in prefix.dropFirst() { #expect(!own.contains("A text")) }
        }
    }

    private static let published = TestFiles.fixtures.appending(path: "templates")
    private static let publishedNames =
        ((try? FileManager.default.contentsOfDirectory(atPath: published.path)) ?? []).filter { $0.hasSuffix(".jinja") }
        .sorted()
}
