"""The joiner: what belongs together is one event, what does not is not, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.formats import load_formats
from logsluice.inputs.files import Line, read_lines, split_lines
from logsluice.inputs.multiline import JoinedEvent
from logsluice.inputs.streams import StreamJoiner, join
from tests.shared.log_sets import LINES_OF_EACH, SYSTEMS, log_file

JAVA = """\
2026-11-22 10:14:13,123 ERROR [http-8080-exec-3] c.a.shop.Payment - charge failed
java.lang.IllegalStateException: gateway said no
	at com.acme.shop.Payment.charge(Payment.java:42) ~[shop.jar:1.2]
	at com.acme.shop.Checkout.pay(Checkout.java:17)
	Suppressed: java.io.IOException: close
		at com.acme.net.Conn.close(Conn.java:9)
		... 2 more
Caused by: java.net.SocketTimeoutException: Read timed out
	at java.base/java.net.SocketInputStream.read(SocketInputStream.java:1)
	... 23 more"""
JAVA_LONG_MESSAGE = """\
2026-11-22 10:14:13,123 ERROR c.a.shop.Payment - charge failed
org.postgresql.util.PSQLException: ERROR: duplicate key value
violates unique constraint "pk"

see above for details
	at org.postgresql.core.v3.QueryExecutorImpl.receive(QueryExecutorImpl.java:2440)"""
JAVA_BARE = """\
Exception in thread "main" java.lang.NullPointerException
	at Main.main(Main.java:3)"""
PYTHON = """\
2026-11-22 10:14:13,123 - auth - ERROR - login failed
Traceback (most recent call last):
  File "/srv/auth.py", line 10, in login
    check(user)
    ~~~~~^^^^^^
  File "/srv/auth.py", line 3, in check
    raise KeyError(user)
KeyError: 'u-1'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/auth.py", line 12, in login
    raise AuthError("no such user") from None
shop.auth.AuthError: no such user"""
PYTHON_BARE = """\
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    1/0
ZeroDivisionError: division by zero"""
PYTHON_GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "x.py", line 1, in <module>
  | ExceptionGroup: many (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +------------------------------------"""
GO = """\
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48f0a1]

goroutine 1 [running]:
main.(*Server).handle(0x0, {0xc00001c0a8, 0x3})
	/srv/main.go:12 +0x1d
main.main()
	/srv/main.go:7 +0x25
created by main.start in goroutine 5
	/srv/main.go:30 +0x3f
exit status 2"""
GO_HTTP = """\
2026/11/22 10:14:13 http: panic serving 127.0.0.1:5000: boom
goroutine 19 [running]:
net/http.(*conn).serve.func1()
	/usr/local/go/src/net/http/server.go:1868 +0xb9"""
DOTNET = """\
fail: Shop.Worker[0]
      Unhandled failure
      System.InvalidOperationException: nope
       ---> System.TimeoutException: slow
         at Shop.Db.Query(String sql) in /src/Db.cs:line 9
         --- End of inner exception stack trace ---
         at Shop.Worker.Run() in /src/Worker.cs:line 20"""
DOTNET_BARE = """\
Unhandled exception. System.InvalidOperationException: nope
   at Shop.Worker.Run() in /src/Worker.cs:line 20
--- End of stack trace from previous location ---
   at Shop.Program.Main() in /src/Program.cs:line 3"""
NODE = """\
/srv/app.js:12
    throw new TypeError("x is not a function");
    ^

TypeError: x is not a function
    at Object.<anonymous> (/srv/app.js:12:11)
    at Module._compile (node:internal/modules/cjs/loader:1105:14) {
  code: 'E1'
}

Node.js v20.1.0"""
NODE_LOGGED = """\
[2026-11-22T10:14:13.123Z] error: request failed
TypeError: Cannot read properties of undefined (reading 'id')
    at getUser (/srv/user.js:3:9)
    at async handle (/srv/index.js:8:3)"""
RUBY = """\
app.rb:3:in 'Object#charge': card declined (PaymentError)
	from app.rb:9:in 'Object#checkout'
	from app.rb:12:in '<main>'"""
PHP = """\
[22-Nov-2026 10:14:13 UTC] PHP Fatal error:  Uncaught Exception: no in /srv/a.php:3
Stack trace:
#0 /srv/a.php(12): charge()
#1 {main}
  thrown in /srv/a.php on line 3"""
RUST = """\
thread 'main' panicked at src/main.rs:2:5:
index out of bounds: the len is 3 but the index is 7
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"""
JUL = """\
Nov 22, 2026 10:14:13 AM com.acme.shop.Payment charge
WARNING: retrying
java.io.IOException: reset
	at com.acme.shop.Payment.charge(Payment.java:42)"""
INDENTED = """\
2026-11-22 10:14:13.123 UTC [812] ERROR:  syntax error at or near "FORM"
	SELECT *
	FORM orders

	WHERE id = 1"""
PRETTY_JSON = """\
{
  "level": "info",
  "nested": {
    "a": [
      1
    ]
  }
}"""
SLOW_QUERY = """\
# Time: 2026-11-22T10:14:13.345678Z
# User@Host: shop[shop] @ web1 []  Id: 12
# Query_time: 3.1  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 9
SET timestamp=1795342453;
SELECT *
FROM orders;"""
SLOW_QUERY_SAME_SECOND = """\
# User@Host: shop[shop] @ web1 []  Id: 12
# Query_time: 3.1  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 9
SELECT 1;"""
ERLANG = """\
=ERROR REPORT==== 22-Nov-2026::10:14:13 ===
closing AMQP connection <0.1.0>
{handshake_timeout,frame_header}"""
ORACLE = """\
Sun Nov 22 10:14:13 2026
Thread 1 advanced to log sequence 92
  Current log# 2 seq# 92 mem# 0: redo02.log"""
ORACLE_ISO = """\
2026-11-22T10:14:13.345678+01:00
Completed: ALTER DATABASE OPEN"""
SPRING_BLANK = """\
2026-11-22 10:14:13.992 ERROR 1 --- [nio-8080-exec-4] c.acme.shop.Payment : charge failed

java.lang.IllegalStateException: gateway said no
	at com.acme.shop.Payment.charge(Payment.java:42) ~[classes!/:0.0.1]"""
JUL_GERMAN = """\
März 22, 2026 10:14:13 AM com.acme.shop.Payment charge
SCHWERWIEGEND: keine Antwort
java.net.BindException: Address already in use
	at com.acme.shop.Payment.charge(Payment.java:42)"""
JUL_SPANISH = """\
nov. 22, 2026 10:14:13 p. m. com.acme.shop.Payment charge
GRAVE: sin respuesta"""
RAILS = """\
F, [2026-11-22T10:14:13.345678 #712] FATAL -- :
NoMethodError (undefined method `total' for nil:NilClass):

app/models/cart.rb:12:in `total'
lib/middleware.rb:3:in `call'"""
MONOLOG = """\
[2026-11-22 10:14:13] production.ERROR: no stock {"exception":"[object] (RuntimeException(code: 0): x at /srv/a.php:3)
[stacktrace]
#0 /srv/b.php(7): charge()
#1 {main}
"}"""
LOGCAT_LONG = """\
[ 11-22 10:14:13.345  1702: 2395 E/AndroidRuntime ]
FATAL EXCEPTION: main
java.lang.RuntimeException: Unable to start
	at android.app.ActivityThread.main(ActivityThread.java:1)"""
ELIXIR = """\
10:14:13.345 [error] GenServer #PID<0.331.0> terminating
** (RuntimeError) no stock
    (shop 0.1.0) lib/shop.ex:3: Shop.charge/1
Last message: :charge
State: %{items: []}"""
SPRING = " INFO 2026-11-22 10:14:13 main c.a.Shop : started"

ONE_EVENT = {name: text for name, text in globals().items() if name.isupper() and isinstance(text, str)}

SEPARATE = """\
2026-11-22 10:14:13,123 INFO a
2026-11-22 10:14:13,124 INFO b
  INFO c.a.Shop padded level
Nov 22 10:14:13 host sshd[1]: x
<34>1 2026-11-22T10:14:13Z host app - - - x
{"level":"info"}
time=2026-11-22T10:14:13Z level=info msg=x
I1122 10:14:13.123456       1 main.go:3] x
10.0.0.1 - - [22/Nov/2026:10:14:13 +0000] "GET / HTTP/1.1" 200 1
- 1117838570 2005.06.03 R02 x
[    1.234567] usb 1-1: new device
plain words
another line
ValueError
done.
ERROR: something
key: value
)
""".splitlines()


def lines_of(data: bytes) -> list[Line]:
    return list(split_lines([data]))


def joined(text: str, **options: int) -> list[JoinedEvent]:
    return list(join(lines_of(text.encode()), StreamJoiner(**options)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ONE_EVENT)
def test_is_one_event(name: str) -> None:
    assert [event.value.decode() for event in joined(ONE_EVENT[name])] == [ONE_EVENT[name]]


@pytest.mark.parametrize(
    ("first", "blank"),
    # A traceback right behind a line is that line's.
    [(name, "\n") for name in ONE_EVENT if name not in ("PYTHON_BARE", "PYTHON_GROUP")]
    + [(name, "\n\n") for name in ONE_EVENT],
)
def test_two_in_a_row_are_two(first: str, blank: str) -> None:
    text = ONE_EVENT[first]
    events = joined(text + "\n2026-11-22 10:14:14 INFO next" + blank + text + blank)
    assert [event.value.decode() for event in events] == [text, "2026-11-22 10:14:14 INFO next", text]


def test_lines_that_begin_events_stay_apart() -> None:
    assert [event.value.decode() for event in joined("\n".join(SEPARATE))] == SEPARATE


@pytest.mark.parametrize("name", SYSTEMS)
def test_single_lines_stay_apart(name: str) -> None:
    events = list(join(read_lines(log_file(name))))
    assert len(events) == LINES_OF_EACH
    assert {event.lines for event in events} == {1}


EXAMPLES = {
    f"{form.name}-{number}": example.line.encode("utf-8", "surrogateescape")
    for form in load_formats(None)
    for number, example in enumerate(form.examples)
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_event_of_a_shipped_format_is_one_event_wherever_it_stands(name: str) -> None:
    line = EXAMPLES[name]
    for before in (JAVA, PYTHON, GO, NODE, RUBY, JUL):
        data = b"\n".join((before.encode(), line, line))
        assert [event.value for event in join(lines_of(data))] == [before.encode(), line, line]


def test_blank_lines_between_events_are_counted_not_kept() -> None:
    joiner = StreamJoiner()
    events = list(join(lines_of(b"\n  \na b c\n\n\nd e f\n\n"), joiner))
    assert [event.value for event in events] == [b"a b c", b"d e f"]
    assert joiner.blank == 5


def test_an_event_has_at_most_so_many_lines() -> None:
    text = "2026-11-22 10:14:13 ERROR x\n" + "\n".join(f"\tat a.B.c(B.java:{n})" for n in range(1200))
    assert [event.lines for event in joined(text)] == [500, 500, 201]


def test_an_event_has_at_most_so_many_bytes() -> None:
    text = "2026-11-22 10:14:13 ERROR x\n" + "\n".join("\tat " + "y" * 300_000 for _ in range(7))
    events = joined(text)
    assert all(len(event.value) <= 1_000_000 for event in events)
    assert "\n".join(event.value.decode() for event in events) == text


def test_a_cut_line_is_an_event_of_its_own() -> None:
    events = list(join(lines_of(b"x" * 5_000_000 + b"\n\tat a.B.c(B.java:1)\n")))
    assert [event.lines for event in events] == [1, 1]
    assert dict(events[0].headers)["logsluice-original-length"] == b"5000000"


def test_disabled_every_line_is_an_event() -> None:
    events = list(join(lines_of(JAVA.encode()), StreamJoiner(enabled=False)))
    assert [event.value.decode() for event in events] == JAVA.splitlines()


LINES = st.lists(
    st.sampled_from([line for text in ONE_EVENT.values() for line in text.splitlines()] + SEPARATE + ["", " \t"])
    | st.text(max_size=30).map(lambda text: text.replace("\n", "")),
    max_size=60,
)


@given(LINES, st.integers(2, 8))
def test_nothing_is_lost(texts: list[str], max_lines: int) -> None:
    data = "\n".join(texts).encode("utf-8", "surrogatepass")
    lines = lines_of(data)
    joiner = StreamJoiner(max_lines=max_lines)
    events = list(join(lines, joiner))
    full = [line for line in lines if line.data and not line.data.isspace()]
    kept = [part for event in events for part in event.value.split(b"\n") if part and not part.isspace()]
    assert kept == [line.data for line in full]
    assert joiner.blank + sum(event.blank for event in events) == len(lines) - len(full)
    assert all(event.lines <= max_lines for event in events)
    # An event's bytes are those of the file between its offsets.
    for event in events:
        raw = b"\n".join(line.data for line in lines_of(data[event.offset : event.end]))
        assert raw == event.value


@given(LINES, st.integers(2, 8))
def test_reading_from_any_event_finds_the_same(texts: list[str], max_lines: int) -> None:
    data = "\n".join(texts).encode("utf-8", "surrogatepass")
    events = list(join(lines_of(data), StreamJoiner(max_lines=max_lines)))
    for number, event in enumerate(events):
        rest = split_lines([data[event.offset :]], event.offset)
        assert list(join(rest, StreamJoiner(max_lines=max_lines))) == events[number:]
