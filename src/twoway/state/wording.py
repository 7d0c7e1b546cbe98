"""The store's statements in PostgreSQL's words.

Both databases know nearly all of what a statement says. What they do not is told apart here, by its form:

| in a statement | stands for |
|---|---|
| `json_each(?) j` | a window of texts, mostly record ids: `j.value` |
| `json_each(?) n` | a window of numbers: `n.value` |
| `json_each(?) w` | a window of lists of numbers: `w.value ->> 0`, `w.value ->> 1` |
| `IN (SELECT value FROM json_each(?))` | one of these texts |
| `IN (SELECT n.value FROM json_each(?) n)` | one of these numbers |
| `JOIN t ON …`, `CROSS JOIN t ON …` | for each row before it, a look-up in t |
| `EXISTS (…)` | for each row, a look-up |
| `t.a IS u.a` | the same, or both NULL |
| `instr(a, b)` | where b is in a; 0 where it is not |

Numbers need a name of their own, because PostgreSQL compares no text with a number. Joins are written in the order in
which a cycle needs them: SQLite is told so by CROSS JOIN where it would not find out. PostgreSQL, which for a new table
believes that a pair has a single row in it, begins with the table and searches the whole window for each row: OFFSET
keeps it from turning a look-up round.
"""

import re
from functools import cache
from typing import Final

_INNER_JOIN: Final = (
    r"(?<!LEFT )(?:CROSS )?JOIN (\w+) (\w+) ON (.+?)(?= (?:LEFT |CROSS )?JOIN | WHERE | GROUP BY | ORDER BY |$)"
)
_TEXTS: Final = "jsonb_array_elements_text(?::jsonb)"
_NUMBERS: Final = r"SELECT e.value::bigint AS value FROM jsonb_array_elements_text(\1::jsonb) e (value)"

_WORDS: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"\bIN \(SELECT value FROM json_each\(\?\)\)", f"= ANY (ARRAY(SELECT {_TEXTS}))"),
        (r"\bIN \(SELECT n\.value FROM json_each\((\?|\w+)\) n\)", f"= ANY (ARRAY({_NUMBERS}))"),
        (r"\bjson_each\(\?\) j\b", f"{_TEXTS} j (value)"),
        (r"\bjson_each\((\?)\) n\b", f"({_NUMBERS}) n"),
        (r"\bjson_each\(\?\) w\b", "jsonb_array_elements(?::jsonb) w (value)"),
        (r"\bw\.value ->> (\d)", r"(w.value ->> \1)::bigint"),
        (_INNER_JOIN, r"CROSS JOIN LATERAL (SELECT * FROM \1 \2 WHERE \3 OFFSET 0) \2"),
        (r"(\w+\.\w+) IS (\w+\.\w+)", r"\1 IS NOT DISTINCT FROM \2"),
        (r"\binstr\(", "strpos("),
    )
)


@cache
def for_postgres(sql: str) -> str:
    """A statement as psycopg takes it: `%s` for each parameter."""
    for pattern, words in _WORDS:
        sql = pattern.sub(words, sql)
    return _one_by_one(sql).replace("%", "%%").replace("?", "%s")


def _one_by_one(sql: str) -> str:
    """EXISTS asked for each row, and not made a join of. No text in a statement holds a bracket."""
    parts: list[str] = []
    opened: list[bool] = []
    for part in re.split(r"((?:EXISTS )?\(|\))", sql):
        if part.endswith("("):
            opened.append(part != "(")
        elif part == ")" and opened.pop():
            parts.append(" OFFSET 0")
        parts.append(part)
    return "".join(parts)
