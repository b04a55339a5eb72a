// Who wrote what of a rendering.

import Jinja
import Testing

@Suite struct MarkTests {
    private static let now = Moment(year: 2026, month: 11, day: 28)

    /// The rendering with what the message holds in brackets.
    private static func shown(_ source: String, message: String = " Hello <b>, you \n") throws -> String {
        let text = try Template(source).render([.init("m", .text(Text(message, mark: 1)))], now: now)
        return text.stretches.map { $0.mark == 0 ? $0.text : "[\($0.text)]" }.joined()
    }

    @Test(
        "letters of a message keep their mark, whatever the template does with them",
        arguments: [
            ("a{{ m }}b", "a[ Hello <b>, you \n]b"), ("{{ m | trim }}", "[Hello <b>, you]"),
            ("{{ m.strip() ~ '!' }}", "[Hello <b>, you]!"), ("{{ 'x' + m[1:4] + 'y' }}", "x[Hel]y"),
            ("{{ m[::-1] | trim }}", "[uoy ,>b< olleH]"), ("{{ m | upper | trim }}", "[HELLO <B>, YOU]"),
            ("{{ m.split(',')[0] }}", "[ Hello <b>]"), ("{{ m.replace('Hello', 'Bye') | trim }}", "Bye[ <b>, you]"),
            ("{{ [m | trim, 'x'] | join('-') }}", "[Hello <b>, you]-x"),
            ("{{ m | trim | e }}", "[Hello &lt;b&gt;, you]"),
            ("{{ m | trim | tojson }}", "\"[Hello <b>, you]\""), ("{{ [m] }}", "['[ Hello <b>, you \\n]']"),
            ("{{ '<%s>' % m.split()[0] }}", "<[Hello]>"), ("{{ '<{}>'.format(m.split()[0]) }}", "<[Hello]>"),
            ("{% set x %}<{{ m | trim }}>{% endset %}{{ x }}", "<[Hello <b>, you]>"),
            ("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(m | trim) }}", "<[Hello <b>, you]>"),
            ("{% filter trim %}{{ m }}{% endfilter %}", "[Hello <b>, you]"),
            ("{% for c in m[1:4] %}{{ c }}-{% endfor %}", "[H]-[e]-[l]-"),
            ("{{ m.splitlines()[0] | trim | title }}", "[Hello <B>, You]"), ("{{ m | trim | length }}", "14"),
            ("{{ 'same' if m.strip() == 'Hello <b>, you' }}", "same"), ("{{ {m: 1}[' Hello <b>, you \\n'] }}", "1"),
            ("{{ {'a': m} | tojson(indent=1) }}", "{\n \"a\": \"[ Hello <b>, you \\n]\"\n}"),
            ("{{ m | trim | indent('> ', true) }}", "> [Hello <b>, you]"),
        ])
    func kept(source: String, shown: String) throws { #expect(try Self.shown(source) == shown) }

    @Test("what a message holds is never run")
    func inert() throws {
        #expect(try Self.shown("{{ m }}", message: "{{ 1 + 1 }}{% raw %}{#") == "[{{ 1 + 1 }}{% raw %}{#]")
    }

    @Test("the marks of training are left out")
    func generation() throws {
        #expect(try Self.shown("{% for x in [1] %}{% generation %}a{{ x }}{% endgeneration %}{% endfor %}") == "a1")
    }
}
