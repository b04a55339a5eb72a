#!/usr/bin/env python3
"""Writes facts.json: what jinja2 3.1 makes of small templates, set up as Hugging Face's transformers sets it up.

    pip install jinja2==3.1.6 && python3 make_facts.py
"""
import datetime
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = datetime.datetime(2026, 11, 28, 15, 4, 5)

CONTEXT = {
    "s": "Hello, World", "pad": "  \n padded\t ", "empty": "", "uni": "Straße ÉTÉ ǆ 😀", "csv": "a,b,,c",
    "n": 7, "neg": -7, "zero": 0, "f": 2.5, "t": True, "no": False, "nil": None,
    "list": [3, 1, 2], "words": ["banana", "Apple", "cherry", "apple"], "nested": [[1, 2], [3], []],
    "d": {"b": 1, "a": 2, "C": 3}, "deep": {"x": {"y": [{"z": "found"}]}, "items": "shadow", "key with space": 1},
    "people": [
        {"name": "Ada", "age": 36, "tags": ["x", "y"]}, {"name": "bob", "age": 9, "tags": []},
        {"name": "Cy", "age": 36, "city": "Bern"},
    ],
    "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi <b>& 'you' \"there\" "},
        {"role": "assistant", "content": "<think>a</think>b"},
    ],
    "big": 10**15, "long": "the quick brown fox jumps over the lazy dog", "lines": "one\ntwo\r\n\nthree\n",
}

EXPRESSIONS = r"""
1 + 2 * 3
(1 + 2) * 3
7 // 2
-7 // 2
7 // -2
7 % 3
-7 % 3
7 % -3
7 / 2
6 / 3
7.5 // 2
-7.5 % 2
7.5 % -2
2 ** 10
2 ** -1
-2 ** 2
2 ** 3 ** 2
2.5 * 2
1 + 1.0
1 + true
true + true
10 - 3 - 2
2 * 3 % 4
1 - -1
+n
-n
- - n
-n|abs
(-n)|abs
1_000 + 1
0x1f + 0o17 + 0b11
1e3
1.5e-3
1e16
123456789012345680.0
0.0001
0.00001
1e-7 * 3
0.1 + 0.2
1/3
100000.0
1e100
-0.0
2.0 ** 0.5
big * 10
'a' + 'b'
'a' ~ 1 ~ none ~ true ~ 1.0
'a' 'b'
'ab' * 3
3 * 'ab'
'ab' * 0
[1] * 3
[1] + [2, 3]
(1, 2) + (3,)
1 ~ 2 + 3
1 + 2 ~ 3
'x' ~ 2 * 3
1 == 1.0
1 == true
'1' == 1
[1, 2] == [1, 2]
(1, 2) == [1, 2]
{'a': 1} == {'a': 1.0}
none == none
none == false
missing == none
missing == missing2
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
1 != 2
'a' < 'b'
'Z' < 'a'
'a' < 'ab'
[1, 2] < [1, 3]
[1, 2] <= [1, 2]
1 <= 1
1 < 2 == true
not 1 == 2
not true and false
not (true and false)
true or false and false
1 and 2
0 and 2
0 or 'x'
'' or none
1 and 0 or 3
not not 1
'lo' in s
'' in s
'xyz' not in s
1 in list
9 not in list
'a' in d
1 in d
'b' in ['a', 'b']
(1, 2) in [(1, 2)]
missing in [1]
'a' in missing
not 'a' in d
1 in (1, 2) and true
'yes' if t else 'no'
'yes' if no else 'no'
'yes' if no
('yes' if no) is defined
1 if 0 else 2 if 0 else 3
'a' if t else 'b' if no else 'c'
[1, 'a', none, true, 2.0, [3], {'k': 'v'}, (1,), (1, 2), ()]
{'a': 1, 'b': [1, 2], 3: none}
{}
[]
()
(1,)
1, 2
1,
"it's"
'say "x"'
['it\'s', 'say "x"', 'both \' and "', 'tab\t', 'nl\n', 'back\\slash', 'é', '\x07', '\u200b']
'\x41\u0042\103\n|\q'
"a\
b"
list[0]
list[-1]
list[5]
list[-4] is defined
list[1:]
list[:2]
list[::-1]
list[::2]
list[-2:]
list[5:]
list[2:0:-1]
list[:]
s[0]
s[-1]
s[:5]
s[7:]
s[::-1]
s[1:8:2]
s[-5:-1]
s[100:]
s[-100:3]
uni[0:7]
(1, 2, 3)[1:]
list[0:2][1]
d['a']
d.a
d['missing'] is defined
d.missing is defined
deep.x.y[0].z
deep['x']['y'][0]['z']
deep.x.y.0.z
deep['items']
deep['key with space']
deep.items is callable
list.0
list.first is defined
d.missing
missing
missing is defined
missing|default('x')
missing.attr|default('x')
nil|default('x')
nil|default('x', true)
''|default('x')
''|default('x', true)
''|d('x', boolean=true)
missing|default
missing|length
missing|list
missing|upper
missing|string
missing|join
missing ~ 'x'
missing|int
missing|float
missing|first
nil|select|list
nil|map('upper')|list
nil|selectattr('x')|list
nil|list
nil|join
zero|rejectattr('x')|list
''|map('upper')|join
missing + 1
missing.attr
missing['attr']
missing()
missing < 1
missing|tojson
nil.attr
nil['attr']
nil + 1
s + 1
1 + s
list + 1
list + (1,)
s - s
{} + {}
1 < 'a'
none < 1
1 / 0
1 // 0
1 % 0
s()
s.nope()
n.attr
'a' in 5
5 in 'a'
none in 'a'
n|length
none|length
list[1, 2]
list['a']
s|upper
s|lower
s|title
s|capitalize
'hello wORLD-foo (bar) [baz'|title
"it's a they're"|title
"it's a they're".title()
'ab1cd e'.title()
uni|upper
uni|lower
uni|capitalize
'ǆabc'|capitalize
'ß'|capitalize
uni.swapcase()
pad|trim
pad.strip()
pad.lstrip()
pad.rstrip()
'xxhixx'|trim('x')
'xxhixy'.strip('xy')
'xxhixx'.lstrip('x')
'xxhixx'.rstrip('x')
'\u00a0x\u2003'.strip()
'\u200bx'.strip()|length
s.split(', ')
s.split()
s.split('l')
s.split('l', 1)
'  a  b '.split()
'  a  b '.split(' ')
' a b c '.split(none, 1)
' a b c '.rsplit(none, 1)
'a,b,c'.rsplit(',', 1)
'a,b,c'.split(',')[-1]
csv.split(',')
''.split()
''.split(',')
'a--b--c'.split('--', maxsplit=1)
lines.splitlines()
lines.splitlines(true)
'a\x0bb\x1cc\u2028d'.splitlines()
s.split('')
'a-b'.partition('-')
'ab'.partition('-')
'a-b-c'.rpartition('-')
'ab'.rpartition('-')
s.startswith('He')
s.startswith('lo', 3)
s.startswith(('x', 'H'))
s.endswith('ld')
s.endswith(('a', 'd'))
s.endswith('lo', 0, 5)
s.startswith('')
s.startswith(1)
s.find('o')
s.find('o', 5)
s.find('zz')
s.rfind('o')
s.rfind('o', 0, 5)
s.index('W')
s.index('zz')
s.count('l')
s.count('')
'aaaa'.count('aa')
s.replace('l', 'L')
s.replace('l', 'L', 1)
'abc'.replace('', '-')
'abc'.replace('', '-', 2)
''.replace('', 'x')
'aaa'.replace('aa', 'b')
s|replace('o', '0')
s|replace('o', '0', 1)
123|replace(2, 'x')
'a-b'.join(['x', 'y'])
', '.join(words)
','.join([1])
'x'.center(7)
'x'.center(6, '*')
'xy'.center(7, '*')
'x'.ljust(3) ~ '|'
'x'.rjust(3)
'7'.zfill(3)
'-7'.zfill(4)
'abc'.isalpha()
'a1'.isalnum()
'12'.isdigit()
'1.2'.isdigit()
''.isdigit()
' \t'.isspace()
'ABC'.isupper()
'aBC'.isupper()
'abc1'.islower()
'Abc Def'.istitle()
'½'.isnumeric()
'½'.isdigit()
'abc'.removeprefix('a')
'abc'.removeprefix('b')
'abc'.removesuffix('c')
'abc'.removesuffix('')
'{} and {}'.format(1, 'b')
'{1} {0}'.format('a', 'b')
'{x}'.format(x=5)
'{{}} {}'.format(1)
'{:>5}|{:<5}|{:^5}|{:*^7}'.format(1, 2, 3, 'x')
'{:05d} {:+d} {:,}'.format(42, 7, 1234567)
'{:.2f} {:8.3f} {:.0f}'.format(3.14159, 2.5, 2.5)
'{!r} {!s}'.format('a', 'b')
'{:x} {:X} {:#x} {:b} {:o}'.format(255, 255, 255, 5, 8)
'{:.1%}'.format(0.256)
'{:.3}'.format('abcdef')
'{}'.format()
'%s and %s' % ('a', 1)
'%s' % 'x'
'%d items' % 3
'%5d|%-5d|%05d|%+d' % (1, 2, 3, 4)
'%.2f %8.3f' % (3.14159, 2.5)
'%r' % 'a'
'%%' % ()
'%s' % (1, 2)
'%s %s' % 'a'
'%(a)s-%(b)d' % {'a': 'x', 'b': 2}
'%x %X %o' % (255, 255, 8)
'%5s|%-5s|%.2s' % ('a', 'b', 'cde')
'%s, %s!'|format('Hello', 'World')
'%(x)s'|format(x=1)
'%d' % 'a'
s|length
list|length
d|length
s|count
(1, 2)|count
list|first
list|last
''|first is defined
s|first
s|last
d|first
range(5)|last
[]|first is defined
[]|last is defined
list|join
list|join(', ')
words|join('|')
list|join(d='-')
people|join(', ', attribute='name')
d|join(',')
s|list
d|list
range(3)|list
d.keys()|list
d.values()|list
d.items()|list
d.items()
d.keys()
d|items|list
{}|items|list
missing|items|list
list|items|list
d|dictsort
d|dictsort(true)
d|dictsort(false, 'value')
d|dictsort(reverse=true)
d|dictsort(by='value', reverse=true)
d|dictsort(by='nope')
list|sort
list|sort(reverse=true)
words|sort
words|sort(case_sensitive=true)
people|sort(attribute='age')|map(attribute='name')|list
people|sort(attribute='age,name', reverse=true)|map(attribute='name')|list
[1, 'a']|sort
list|reverse|list
s|reverse
d|reverse|list
words|unique|list
words|unique(true)|list
[1, 1.0, true, 2]|unique|list
list|min
list|max
words|min
words|max
[]|min is defined
people|max(attribute='age')
list|sum
list|sum(start=10)
people|sum(attribute='age')
[1, 2.5]|sum
[]|sum
list|map('string')|list
words|map('upper')|list
words|map('replace', 'a', 'o')|list
people|map(attribute='name')|list
people|map(attribute='city', default='-')|list
people|map(attribute='tags.0', default='-')|list
people|map(attribute='city')|list
words|map('nope')|list
list|select|list
[0, 1, '', 'a', none]|select|list
list|select('odd')|list
list|select('gt', 1)|list
list|reject('odd')|list
[0, 1, '']|reject|list
people|selectattr('city')|map(attribute='name')|list
people|selectattr('age', 'eq', 36)|map(attribute='name')|list
people|selectattr('age', 'equalto', 9)|list|length
people|selectattr('city', 'defined')|list|length
people|rejectattr('city', 'defined')|map(attribute='name')|join(',')
people|rejectattr('age', '>', 10)|map(attribute='name')|list
messages|selectattr('role', 'in', ['user', 'system'])|list|length
messages|selectattr('role', '==', 'user')|first
list|select('nope')|list
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3]|batch(2, 'x')|list
[1, 2, 3, 4, 5]|slice(2)|list
[1, 2, 3, 4, 5]|slice(3, 'x')|list
people|groupby('age')
people|groupby('age')|map('first')|list
words|groupby(0)|list|length
s|string
1|string ~ 2
none|string
[1]|string
'3'|int
'3.7'|int
'abc'|int
'abc'|int(5)
'abc'|int(default=-1)
'ff'|int(base=16)
'0xff'|int(base=16)
'1_0'|int
'__1'|int
' 12 '|int
'1e3'|int
3.99|int
-3.99|int
true|int
none|int
[]|int
'inf'|int
'3.5'|float
'abc'|float
'abc'|float(1.5)
1|float
true|float
' 1e3 '|float
'1.'|float
'.5'|float
none|float
2.5|round
3.5|round
2.567|round(2)
2.675|round(2)
1.005|round(2)
2.5|round(0, 'ceil')
2.51|round(1, 'floor')
-2.5|round
1234.5|round(-2)
7|round
7|round(2)
2.1|round(1, 'ceil')
2.5|round|int
'a'|round
-5|abs
-5.5|abs
'a'|abs
s|wordcount
'a-b c_d'|wordcount
'<a href="x">&\'</a>'|escape
'<a>'|e ~ 'x'
'<b>'|safe
long|truncate(20)
long|truncate(20, true)
long|truncate(20, false, '…')
'short'|truncate(3)
long|truncate(9, true, '')
'x'|center(5) ~ '|'
lines|indent
lines|indent(2)
lines|indent(2, true)
lines|indent(2, first=true, blank=true)
'a\nb'|indent('> ')
'a\nb'|indent(width=1)
'a'|indent
''|indent(2, true)
d|tojson
list|tojson
nested|tojson
people|tojson
deep|tojson(indent=2)
[]|tojson(indent=2)
{}|tojson(indent=2)
[[], {}, [1]]|tojson(indent=4)
{'a': [1, {'b': none}]}|tojson(indent=1)
'é😀<&>"\\/\n\t\x01\x7f'|tojson
'é😀'|tojson(ensure_ascii=true)
d|tojson(sort_keys=true)
d|tojson(separators=(',', ':'))
d|tojson(indent='--')
[1.0, 1e20, 0.1, true, none, -5]|tojson
(1, 2)|tojson
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
s|tojson
none|tojson
missing|tojson
range(3)|tojson
1e400|tojson
(1e400 - 1e400)|tojson
1e400
1e400 - 1e400
d|attr('items') is callable
d|attr('a') is defined
[1, [2, [3]]]|string
s|nope
s is nope
n is odd
n is even
n is divisibleby 7
n is divisibleby(2)
n is number
n is integer
n is float
f is float
f is number
t is number
t is integer
t is boolean
n is boolean
t is true
no is false
1 is true
t is sameas true
nil is none
nil is not none
missing is none
missing is undefined
s is string
list is string
d is mapping
list is mapping
list is iterable
s is iterable
n is iterable
missing is iterable
list is sequence
s is sequence
d is sequence
n is sequence
missing is sequence
d.items() is sequence
(list|map('string')) is sequence
(list|map('string')) is iterable
range(3) is sequence
s is lower
'abc' is lower
'ABC' is upper
n is eq 7
n is equalto(7)
n is ne 7
n is gt 5
n is lt(5)
n is ge 7
n is le 7
n is in [7, 8]
n is in list
'a' is in 'abc'
n is not in [7]
range is callable
n is callable
not n is odd
n is odd and n is gt 5
n is defined and n
n is not defined or n
n + 1 is odd
(n + 1) is odd
range(5)|list
range(2, 5)|list
range(5, 2, -1)|list
range(0, 10, 3)|list
range(3)
range(1, 9, 2)
range(3)[1]
range(0)|length
range(100001)|length
range(1, 2, 0)
range('a')
dict(a=1, b='x')
dict({'a': 1}, b=2)
dict([('a', 1)])
namespace(a=1).a
namespace(a=1).b is defined
namespace({'x': 1}, y=2).y
d.get('a')
d.get('zz')
d.get('zz', 'def')
d.get('zz') is none
d.get(missing)
d.get([])
d.copy()
list.index(1)
list.index(99)
list.count(3)
(1, 1, 2).count(1)
words|length > 2 and words[0] == 'banana'
messages[0].role == 'system'
messages[0]['role']
messages[-1].content.split('</think>')[-1].lstrip('\n')
messages[1:]|length
messages[1].content|trim
'</think>' in messages[-1].content
messages|map(attribute='content')|join('|')
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%d %H:%M:%S')
strftime_now('%A, %B %-d, %y %j %p %I %%')
strftime_now('%e|%a|%u|%w|%F|%T|%D')
raise_exception('no')
cycler('a', 'b').next()
joiner(', ')() ~ 'x'
true ~ false
True
None
[true, none]
true|string|lower
{'a': true}|string
{'k': 'it\'s'}
'a' if 'a' in d and d.a > 1 else 'z'
d.a if d.a is defined else 'none'
(list|first) + (list|last)
list|sort|first
words|map('length')|list
words|map('length')|sum
[1, 2, 3]|sum / 2
list|length * 2
-list[0]
list|join ~ 'x'
{'a': {'b': 1}}.a.b
{'a': 1}['a']
[1, 2, 3][1]
'abc'[1]
'%s' % none
'abc' < 'abd' < 'abe'
1.0
1.50
10 // 3.0
2 ** 62
'a' == 'a' == 'a'
1 in [1] == true
[] or {}
[0] and 'x'
'x' and ''
none or missing|default('q')
"\u00e9" == "é"
'e\u0301'|length
'😀'|length
'😀'[0]
'A' 'b' ~ 'c'
loop is defined
s.upper().lower().title()
s|upper|lower|title
(s|upper).lower()
s.upper()|length
'a,b'.split(',')|map('upper')|join('-')
list | length
list|length|string + 'x'
{'a':1}|length
['a', ['b', ['c']]]|tojson
'x'|list|tojson
{'a': missing}
[missing]
d == {'b': 1, 'a': 2, 'C': 3}
d != {}
words[0][0]
words[0][::-1]
words[1:3]|join
words|first|upper
words|last|length
3 is in(list)
'a b'.split(' ')|last
'Ab'|lower == 'ab'
""
''
' '
n ~ ''
nil ~ ''
"a" "b" 'c'
list is not mapping and d is mapping
d.items()|sort|list
d.keys()|sort(case_sensitive=true)|list
list.copy()
'x'.upper.nope is defined
""".strip("\n").split("\n")

TEMPLATES = [
    "a\n", "a\n\n", "a\r\nb\rc\n", "{{ 1 }}\n", "{% if t %}\nx\n{% endif %}\ny\n", "  {% if t %}\n  x\n  {% endif %}\n  y",
    "  {%+ if t %}x{% endif +%}\ny", "{% if t -%}  \n x {%- endif %} z", "a {{- 1 -}} b", "a\n  {{ 1 }}\n b", "a \n {#- c -#} \n b",
    "a\n {# c #}\nb", "a {# {{ x }} {% y %} #}b", "x {%- if t %} y {% endif -%} z", "{%- if t -%}\n\n a \n\n{%- endif -%}",
    "{% raw %}{{ x }} {% y %}{% endraw %}", "{%- raw -%} a {%- endraw -%} b", "  {% raw %}\n x{% endraw %}\n y", "{{ '{{' }} {{ '%}' }}",
    "{{ {'a': {'b': 1}}['a'] }}", "{{ '}}' }}", "{{'a'}}{{\"b\"}}", "{{\n1\n}}", "{%\nif\nt\n%}x{%\nendif\n%}",
    "{% for x in list %}{{ x }}{% endfor %}", "{% for x in list %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for x in [] %}x{% else %}none{% endfor %}", "{% for x in list %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in list if x > 1 %}{{ loop.index }}:{{ x }} {% endfor %}", "{% for x in list if x > 9 %}x{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for c in 'abc' %}[{{ c }}]{% endfor %}",
    "{% for (a, b) in [(1, 2), (3, 4)] %}{{ a }}-{{ b }};{% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    "{% for x in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for x in list %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{{ loop.nextitem }};{% endfor %}",
    "{% for x in list %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}",
    "{% for x in list %}{{ loop.depth }}{% for y in [1] %}{{ loop.depth }}{{ loop.index }}{% endfor %}{% endfor %}",
    "{% for x in list %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}!", "{% for x in list %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in [1, 2] %}{% for y in [1, 2, 3] %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% for x in missing %}x{% else %}e{% endfor %}", "{% for x in nil %}x{% endfor %}", "{% for x in n %}x{% endfor %}",
    "{% for i in range(3) %}{{ i }}{% endfor %}", "{% for x in list[::-1] %}{{ x }}{% endfor %}", "{% for x in list|sort %}{{ x }}{% endfor %}",
    "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for x in list %}{% set y = x %}{% endfor %}{{ y is defined }}",
    "{% set y = 0 %}{% for x in list %}{% set y = y + x %}{{ y }} {% endfor %}{{ y }}", "{% set ns = namespace(y=0) %}{% for x in list %}{% set ns.y = ns.y + x %}{% endfor %}{{ ns.y }}",
    "{% for x in list %}{{ x }}{% endfor %}{{ x is defined }}", "{% set x = 9 %}{% for x in list %}{% endfor %}{{ x }}",
    "{% for x in list %}{% if loop.first %}{% set z = 1 %}{% endif %}{{ z is defined }}{% endfor %}", "{% set z = 5 %}{% for x in list %}{{ z }}{% set z = x %}{{ z }};{% endfor %}",
    "{% if t %}{% set q = 1 %}{% endif %}{{ q }}", "{% if no %}{% set q = 1 %}{% endif %}{{ q is defined }}", "{% set a = 1, 2 %}{{ a }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = [1, 2, 3] %}", "{% set a = b = 1 %}", "{% set x %}a{{ n }}b{% endset %}{{ x }}", "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x %}  a\n{% endset %}[{{ x }}]",
    "{% set x %}{% set inner = 1 %}{% endset %}{{ inner is defined }}", "{% set n = n + 1 %}{{ n }}", "{% set d2 = d %}{{ d2.a }}", "{% set d.a = 1 %}", "{% set s.x = 1 %}",
    "{% set ns = namespace(a=1, b='x') %}{{ ns }}", "{% set ns = namespace() %}{% set ns.x = [] %}{% set ns.x = ns.x + [1] %}{{ ns.x }}", "{% set ns = namespace() %}{{ ns.nope }}|{{ ns.nope is defined }}",
    "{% set l = [] %}{{ l.append(1) }}{{ l }}", "{% set l = [1, 2] %}{{ l.pop() }}{{ l.pop(0) }}{{ l }}", "{% set l = [1] %}{% set m = l %}{% set _ = m.append(2) %}{{ l }}", "{% set l = [1] %}{% set _ = l.extend([2, 3]) %}{% set _ = l.insert(0, 0) %}{{ l }}{% set _ = l.remove(2) %}{% set _ = l.reverse() %}{{ l }}",
    "{% set q = {'a': 1} %}{% set _ = q.update({'b': 2}) %}{{ q }}{{ q.pop('a') }}{{ q }}{{ q.setdefault('c', 3) }}{{ q }}", "{% set q = {} %}{{ q.pop('a', 'z') }}", "{% set q = {} %}{{ q.pop('a') }}", "{% set l = [] %}{{ l.pop() }}", "{% set q = {'b': 1, 'a': 2} %}{% set _ = q.pop('b') %}{% set _ = q.update(b=3) %}{{ q }}",
    "{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if zero %}a{% elif n %}b{% else %}c{% endif %}", "{% if zero %}a{% elif no %}b{% else %}c{% endif %}", "{% if not missing %}x{% endif %}", "{% if missing is defined and missing.x %}x{% else %}y{% endif %}", "{% if list %}x{% endif %}{% if [] %}y{% endif %}{% if {} %}z{% endif %}{% if ' ' %}w{% endif %}", "{% if 1, 0 %}t{% endif %}",
    "{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(a=5) }} {{ m(b=1, a=0) }}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{{ m(1) }}", "{% macro m(a) %}x{% endmacro %}{{ m(z=1) }}", "{% macro m(a) %}x{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(4) }}", "{% macro m(x) %}{% if x > 0 %}{{ x }}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(3) }}", "{% macro m() %}{{ n }}{% set n = 1 %}{{ n }}{% endmacro %}{{ m() }}{{ n }}", "{% macro m() %}{{ later }}{% endmacro %}{% set later = 5 %}{{ m() }}",
    "{% macro m() %} x {% endmacro %}[{{ m()|trim }}]", "{% macro m() %}x{% endmacro %}{{ m() ~ m() }}{{ m()|upper }}", "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}body{% endcall %}", "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{{ n }}{% endcall %}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m }}|{{ m.name }}", "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}", "{% for x in [1, 2] %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(x, y='') %}<{{ x }}{{ y }}>{% endmacro %}{{ list|map('string')|map('upper')|join }}{{ m('a', y='b') }}", "{% set f = namespace(g=none) %}{% macro m() %}{% set f.g = 1 %}{% endmacro %}{{ m() }}{{ f.g }}",
    "{% filter upper %}abc {{ n }}{% endfilter %}", "{% filter trim|upper %} a {% endfilter %}", "{% filter replace('a', 'b') %}aaa{% endfilter %}", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% with %}{% set w = 1 %}{% endwith %}{{ w is defined }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ b }}{% endwith %}", "{% block x %}in{% endblock %}", "{% autoescape false %}<{% endautoescape %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set _ = c.reset() %}{{ c.current }}", "{% set j = joiner('|') %}{% for x in list %}{{ j() }}{{ x }}{% endfor %}", "{% print 1 %}", "{{ [1, 2, 3]|map('string')|first }}", "{% set m = list|map('string') %}{{ m|list }}{{ m|list }}", "{{ (list|map('string'))[0] is defined }}", "{{ (list|select)|last }}", "{{ (list|select)|length }}",
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] | trim + '<|end|>' }}{% endfor %}", "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('order') }}{% endif %}{% endfor %}", "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}{{ loop_messages|length }}", "{% for m in messages[::-1] %}{{ m.role }}{% endfor %}", "{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|list }}", "{% set content = messages[2].content %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{ content }}",
    "{{ x", "{% if %}", "{% if t %}", "{% for x list %}{% endfor %}", "{% endif %}", "{{ 1 + }}", "{{ 'a }}", "{{ a b }}", "{% nope %}", "{# x", "{% raw %}x", "{{ (1 }}", "{{ [1 }}", "{{ 1) }}", "{{ f(a=1, 2) }}", "{% set true = 1 %}", "{{ ! }}", "{{ }}", "{% macro m(a=1, b) %}{% endmacro %}", "{{ x is }}", "{{ x| }}", "{{ 1 is odd is even }}", "{% else %}", "{% call n %}{% endcall %}", "{{ a..b }}",
    "{{ 'x' ~ '\\'' ~ \"\\\"\" }}", "{{- ' a ' -}}", " {{- 'a' }} ", "{%- set x = 1 -%}\n\n{{ x }}", "\n\n{%- if t %}\n\na\n{%- endif %}\n", "{% if t %}a\n  {%- if t %}b{% endif %}\n{% endif %}\nc", "<{% for x in list -%}\n {{ x }}\n{%- endfor %}>", "{% if t %}\n\nx{% endif %}", "\t{% if t %}x{% endif %}\n\t{{ 1 }}", "a{% if t %}\n{% endif %}\nb", "a  {% if t %}b{% endif %}  \nc", "{{ 1 }}  \n  {% if t %}b{% endif %}", "{% if t %}x{% endif %}  {% if t %}y{% endif %}", "{# a #}\n{# b #}\nx", "{% set x = 1 %}\n\n{% set y = 2 %}\nz", "x{#- a -#}\n\ny", "{%- for x in list %}\n{{- x }}\n{%- endfor %}", "line {{ n }}\n{% if t %}\n  in\n{% else %}\n  out\n{% endif %}\nend",
]


def environment():
    """As `_compile_jinja_template` of transformers makes it, but that lists may be changed."""

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    result = jinja2.sandbox.SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = NOW.strftime
    return result


def fact(source):
    try:
        return {"template": source, "output": environment().from_string(source).render(json.loads(json.dumps(CONTEXT)))}
    except Exception as error:  # whatever Python raises is an error here too
        return {"template": source, "error": f"{type(error).__name__}: {error}"}


def main():
    sources = ["{{ " + line + " }}" for line in EXPRESSIONS] + TEMPLATES
    facts = {"jinja2": jinja2.__version__, "context": CONTEXT, "facts": [fact(source) for source in sources]}
    path = pathlib.Path(__file__).with_name("facts.json")
    path.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    print(len(facts["facts"]), "facts,", sum("error" in f for f in facts["facts"]), "of them errors")


main()
