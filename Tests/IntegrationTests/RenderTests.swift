// cakebench render: messages in, a prompt out.

import Foundation
import TestDaemon
import Testing

@Suite struct RenderTests {
    private let messages = #"[{"role":"user","content":" hi "},{"role":"assistant","content":"{{ 1 }}"}]"#

    private func render(_ arguments: [String]) throws -> Outcome {
        try run(Project.program("cakebench"), ["render"] + arguments, input: messages)
    }

    @Test("a template writes its prompt with the tokens and the date that are given, and nothing more")
    func template() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "template-\(UUID().uuidString).jinja")
        defer { try? FileManager.default.removeItem(at: file) }
        let source = """
            {{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{{ eos_token }}{% endfor %}
            {{ strftime_now('%d %B %Y') }}{{ enable_thinking is defined }}{% if add_generation_prompt %}>{% endif %}
            """
        try Data(source.utf8).write(to: file)
        let options = ["--template", file.path, "--bos", "<s>", "--eos", "</s>", "--date", "2026-02-03"]
        let outcome = try render(options)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output == "<s><user>hi</s><assistant>{{ 1 }}</s>03 February 2026False>")
        try Data("a\n{{ raise_exception('Not these.') }}".utf8).write(to: file)
        let refused = try render(options)
        #expect(refused.status != 0)
        #expect(refused.output.isEmpty)
        #expect(refused.errors.contains("line 2: Not these."))
    }

    @Test("a model's own template is rendered as the daemon does")
    func model() throws {
        let outcome = try render(["--model", Project.model])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(
            outcome.output
                == "<|im_start|>user\n hi <|im_end|>\n<|im_start|>assistant\n{{ 1 }}<|im_end|>\n<|im_start|>assistant\n"
        )
    }

    @Test(
        "neither or both of template and model is a usage error", arguments: [[], ["--model", "a", "--template", "b"]])
    func usage(arguments: [String]) throws { #expect(try render(arguments).status == 64) }
}
