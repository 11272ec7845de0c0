"""Names that other people chose: each tries to be more than a name."""

from __future__ import annotations

HOSTILE = {
    "html": '<script>alert(1)</script><img src="http://evil.example/x.png"><a href="http://evil.example">here</a>',
    "css": '"; } body { display: none } @import url(http://evil.example/a.css); a{background:url(file:///etc/passwd)}',
    "template": "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "bidi": "safe\u202eelif\u202c.exe",
    "hidden": "zero\u200bwidth\x00nul\x1b[31mred",
    "long": "x" * 200,
    "long words": "projects/" + "very-long-name-" * 13,
    "hebrew": "מסד נתונים",
    "arabic": "قاعدة البيانات",
    "chinese": "生产数据库",
    "japanese": "本番データベース",
    "korean": "운영 데이터베이스",
    "emoji": "database 🚀",
    "surrogate": "broken \ufffe name",
    "entities": "&lt;b&gt; &#x202e; &amp;",
}
