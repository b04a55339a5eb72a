// Hostile templates: each ends with an error that names the cause, soon and without much memory.

import Foundation
import Jinja
import Testing

@Suite struct BoundsTests {
    private static let now = Moment(year: 2026, month: 11, day: 28)

    /// Renders on a thread with the smallest stack that templates must fit, optimised or not.
    private static func error(_ source: String, stackBytes: Int = 4 << 20) -> JinjaError? {
        nonisolated(unsafe) var result: JinjaError?
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            do throws(JinjaError) { _ = try Template(source).render([.init("s", .text("word"))], now: now) } catch {
                unsafe result = error
            }
            done.signal()
        }
        thread.stackSize = stackBytes
        thread.start()
        done.wait()
        return unsafe result
    }

    private static func repeated(_ part: String, _ count: Int) -> String { String(repeating: part, count: count) }

    static let tooDeep = [
        repeated("(", 10_000) + "1" + repeated(")", 10_000), repeated("[", 10_000) + repeated("]", 10_000),
        repeated("- ", 10_000) + "1", repeated("not ", 10_000) + "1", "1" + repeated(" if 1 else 1", 10_000),
        "1" + repeated(" if 1", 10_000), repeated("{1:", 10_000) + "1" + repeated("}", 10_000),
        repeated("s[", 10_000) + "0" + repeated("]", 10_000),
        repeated("f(", 10_000) + repeated(")", 10_000), repeated("1 ** (", 10_000) + "1" + repeated(")", 10_000),
    ]

    @Test("nesting without end is refused", arguments: tooDeep)
    func nesting(expression: String) {
        let error = Self.error("{{ \(expression) }}")
        #expect(error?.kind == .limit, "\(expression.prefix(20)): \(String(describing: error))")
        #expect(error?.line == 1)
    }

    @Test(
        "blocks in blocks without end are refused",
        arguments: [
            "{% if s %}", "{% for x in s %}", "{% macro m() %}", "{% filter upper %}", "{% set x %}", "{% with %}",
        ])
    func blocks(block: String) { #expect(Self.error(Self.repeated(block, 10_000))?.kind == .limit) }

    @Test(
        "long chains are no nesting",
        arguments: [" + 1", " ~ s", " and 1", " or 0", "|abs", " * 1", " == 1", ".real", " is odd == 1"])
    func chains(part: String) { #expect(Self.error("{{ 1" + Self.repeated(part, 20_000) + " }}")?.kind != .limit) }

    static let hostile: [(name: String, source: String)] = [
        ("a macro that calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        (
            "macros that call each other",
            "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}"
        ),
        (
            "a caller that calls itself",
            "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}"
        ),
        (
            "nested loops",
            "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
                + "{% endfor %}{% endfor %}{% endfor %}"
        ),
        (
            "a loop that grows its list",
            "{% set l = [1] %}{% for a in range(99999) %}{% set _ = l.extend(l) %}{% endfor %}"
        ),
        ("a text times a milliard", "{{ 'x' * 1000000000 }}"), ("a list times a milliard", "{{ [1] * 1000000000 }}"),
        ("a text times all integers", "{{ 'xxx' * 9223372036854775807 }}"),
        ("a range of a milliard", "{{ range(1000000000) | list }}"),
        ("a range beyond all integers", "{{ range(-9223372036854775807, 9223372036854775807) }}"),
        (
            "a text that doubles",
            "{% set n = namespace(x=s) %}{% for a in range(100) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
        ),
        (
            "a text that is replaced by more of it",
            "{% set n = namespace(x='aa') %}{% for a in range(100) %}{% set n.x = n.x.replace('a', n.x) %}{% endfor %}"
        ),
        ("a wide field", "{{ '%999999999d' % 1 }}"), ("a wide format", "{{ '{:999999999}'.format(1) }}"),
        ("a wide center", "{{ s | center(9999999999) }}"),
        ("a wide indent", "{{ 'a\\nb' | indent(9999999999) }}"),
        ("a deep indent", "{{ [[1]] | tojson(indent=9999999999) }}"), ("a wide zfill", "{{ s.zfill(9999999999) }}"),
        ("a wide batch", "{{ [1] | batch(9999999999, 0) | list }}"),
        ("many slices", "{{ [1] | slice(9999999999) | list }}"),
        ("output without end", "{% set x = s * 10000 %}{% for a in range(99999) %}{{ x }}{% endfor %}"),
        (
            "a dict that grows",
            "{% set d = {} %}{% for a in range(9999) %}{% for b in range(9999) %}"
                + "{% set _ = d.update({(a, b): [a]}) %}{% endfor %}{% endfor %}"
        ),
        (
            "a search for a long text",
            "{% set x = 'a' * 500000 %}{% for a in range(99999) %}{{ (x ~ 'b') in x }}{% endfor %}"
        ),
        ("a list that holds itself, printed", "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}"),
        ("a list that holds itself, as JSON", "{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}"),
        (
            "lists that hold themselves, compared",
            "{% set l = [] %}{% set _ = l.append(l) %}{% set m = [] %}{% set _ = m.append(m) %}{{ l == m }}"
        ),
        (
            "a list nested a hundred thousand times, printed",
            "{% set n = namespace(x=[]) %}{% for a in range(99999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}"
        ),
        ("numbers written out exactly", "{% for a in range(99999) %}{{ '%.900f' % 5e-324 }}{% endfor %}"),
        ("a sort of much", "{% for a in range(9999) %}{{ range(99999) | sort | first }}{% endfor %}"),
    ]

    @Test("what would never end, or never fit, is refused", arguments: hostile.map(\.name))
    func endless(name: String) throws {
        let source = try #require(Self.hostile.first { $0.name == name }?.source)
        #expect(Self.error(source)?.kind == .limit)
    }

    @Test(
        "what nests deep or refers to itself is given back without recursion",
        arguments: [
            "{% set n = namespace(x=[]) %}{% for a in range(99999) %}{% set n.x = [n.x] %}{% endfor %}",
            "{% set n = namespace(x={}) %}{% for a in range(99999) %}{% set n.x = {'x': n.x} %}{% endfor %}",
            "{% set l = [] %}{% set _ = l.append(l) %}",
            "{% set n = namespace(x=0) %}{% for a in range(9999) %}{% macro f(g) %}{% macro h() %}{{ g }}{% endmacro %}"
                + "{% set n.x = h %}{% endmacro %}{{ f(n.x) }}{% endfor %}",
        ])
    func givenBack(source: String) { #expect(Self.error(source) == nil) }

    @Test(
        "integers beyond 64 bits are refused, never wrapped",
        arguments: [
            "9223372036854775807 + 1", "-9223372036854775807 - 2", "9223372036854775807 * 2", "2 ** 63",
            "(-9223372036854775807 - 1) // -1",
            "-(-9223372036854775807 - 1)", "(-9223372036854775807 - 1) | abs", "10 ** 1000000000",
        ])
    func integers(expression: String) { #expect(Self.error("{{ \(expression) }}")?.kind == .value) }

    @Test("integers the source writes beyond 64 bits are refused")
    func literals() { #expect(Self.error("{{ 9223372036854775808 }}")?.kind == .syntax) }

    @Test(
        "what slices and indices take lies within bounds",
        arguments: [
            "s[9223372036854775807:]", "s[:9223372036854775807:9223372036854775807]",
            "s[-9223372036854775807::-9223372036854775807]",
            "s[9223372036854775807]", "s[-9223372036854775807]", "s.find('o', 9223372036854775807)",
            "s | batch(9223372036854775807) | list",
            "s | truncate(9223372036854775807)", "1.5 | round(9223372036854775807)",
            "1.5 | round(-9223372036854775807)", "1e308 | int", "1e400 | int",
            "s.split('o', 9223372036854775807)", "s.replace('', 'x', 9223372036854775807)",
            "range(5)[9223372036854775807]", "s | indent(-5)",
            "s * -9223372036854775807", "range(2, 2, 9999999999) is defined",
        ])
    func extremes(expression: String) {
        let error = Self.error("{{ \(expression) }}")
        #expect(error == nil || error?.kind == .limit || error?.kind == .value, "\(String(describing: error))")
    }

    @Test("a source beyond the bound is refused")
    func source() { #expect(Self.error(Self.repeated("x", Bounds.sourceBytes + 1))?.kind == .limit) }

    @Test("an error names its line")
    func lines() {
        #expect(Self.error("a\n{% if s %}\n{{ nope.x }}\n{% endif %}")?.line == 3)
        #expect(Self.error("a\n\n{{ 1 + }}")?.line == 3)
        #expect(Self.error("a\n{% set x = 1 %}\n{{ raise_exception('Because.') }}")?.description == "line 3: Because.")
    }
}
