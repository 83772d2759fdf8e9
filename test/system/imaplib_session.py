"""Python's imaplib and poplib against a Facteur: IMAP and POP3 ports, address and password are the arguments.

Whatever is not as it should be ends the script with its words, and status 1.
"""

import imaplib
import poplib
import re
import ssl
import sys
import time

HOST = "127.0.0.1"
IMAP_PORT, POP3_PORT = int(sys.argv[1]), int(sys.argv[2])
USER, PASSWORD = sys.argv[3], sys.argv[4]

# The certificate of a test is nobody's.
TLS = ssl._create_unverified_context()
DATE = 1767268800  # 1 January 2026, 12:00 UTC

# LF line ends, as Python programs write them; imaplib makes them CRLF.
FIRST = b"From: Bob <bob@example.org>\nTo: alice@example.org\nSubject: First\n\n0123456789\n.dot\n"
SECOND = b"From: Bob <bob@example.org>\nTo: alice@example.org\nSubject: Second\n\nText\n"
UTF8 = "From: Bob <bob@example.org>\nSubject: Été à Zürich\n\nÇa va\n".encode()


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


def within(what, part, whole):
    if part not in whole:
        sys.exit(f"{what}: no {part!r} in {whole!r}")


def ok(what, answer):
    """The data of an answer that must be OK."""
    kind, data = answer
    check(what, (kind, data if kind != "OK" else None), ("OK", None))
    return data


def connect():
    imap = imaplib.IMAP4(HOST, IMAP_PORT)
    ok("STARTTLS", imap.starttls(TLS))
    ok("LOGIN", imap.login(USER, PASSWORD))
    return imap


def imap_session():
    imap = connect()
    within("CAPABILITY", b"IMAP4rev1", ok("CAPABILITY", imap.capability())[0])
    within("CAPABILITY", b"MOVE", ok("CAPABILITY", imap.capability())[0])
    ok("CREATE", imap.create("Work"))
    appended = ok("APPEND", imap.append("INBOX", r"(\Flagged $Urgent)", imaplib.Time2Internaldate(DATE), FIRST))
    within("APPEND", b"APPENDUID", appended[0])
    ok("APPEND", imap.append("INBOX", None, None, SECOND))

    check("SELECT", ok("SELECT", imap.select("INBOX")), [b"2"])
    check("SEARCH", ok("SEARCH", imap.search(None, "FLAGGED")), [b"1"])
    check("SEARCH", ok("SEARCH", imap.search(None, "SUBJECT", '"second"')), [b"2"])
    check("SEARCH", ok("SEARCH", imap.search("UTF-8", "BODY", '"nowhere"')), [b""])

    headers = ok("FETCH", imap.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] INTERNALDATE FLAGS)"))
    check("headers", headers[0][1], b"Subject: First\r\n\r\n")
    told = headers[0][0] + headers[1]
    check("flags", set(imaplib.ParseFlags(told)) - {rb"\Recent"}, {rb"\Flagged", b"$Urgent"})
    date = imaplib.Internaldate2tuple(told)
    check("INTERNALDATE", date and time.mktime(date), float(DATE))
    check("RFC822", ok("FETCH", imap.fetch("2", "(RFC822)"))[0][1], SECOND.replace(b"\n", b"\r\n"))
    partial = ok("FETCH", imap.fetch("1", "(BODY.PEEK[TEXT]<3.4>)"))[0]
    within("partial", b"BODY[TEXT]<3>", partial[0])
    check("partial", partial[1], b"3456")
    within("PARTIAL", b"\\Seen", ok("FETCH", imap.fetch("2", "(FLAGS)"))[0])

    within("STORE", b"\\Answered", ok("STORE", imap.store("1", "+FLAGS", r"(\Answered)"))[0])
    check("COPY", ok("COPY", imap.copy("1", "Work")) is not None, True)
    uid = re.search(rb"UID (\d+)", ok("FETCH", imap.fetch("2", "(UID)"))[0]).group(1).decode()
    ok("UID MOVE", imap.uid("MOVE", uid, "Work"))
    check("STATUS", ok("STATUS", imap.status("Work", "(MESSAGES UNSEEN)"))[0].split(b" ", 1)[1], b"(MESSAGES 2 UNSEEN 1)")
    ok("STORE", imap.store("1", "+FLAGS", r"(\Deleted)"))
    # imaplib keeps what nobody asked for: the 2 is of MOVE.
    check("EXPUNGE", ok("EXPUNGE", imap.expunge()), [b"2", b"1"])
    ok("NOOP", imap.noop())
    check("SEARCH", ok("SEARCH", imap.search(None, "ALL")), [b""])
    names = ok("LIST", imap.list())
    check("LIST", sorted(name.rsplit(b" ", 1)[1].strip(b'"') for name in names if b"Work" in name or b"INBOX" in name), [b"INBOX", b"Work"])
    # Answers that it cannot read imaplib raises as errors; a refusal is an answer.
    check("SELECT of nothing", imap.select("Nowhere")[0], "NO")
    check("LOGOUT", imap.logout()[0], "BYE")


def utf8_session():
    imap = connect()
    ok("ENABLE", imap.enable("UTF8=ACCEPT"))
    check("utf8_enabled", imap.utf8_enabled, True)
    ok("CREATE", imap.create('"Été"'))
    ok("APPEND", imap.append('"Été"', None, None, UTF8))
    check("SELECT", ok("SELECT", imap.select('"Été"')), [b"1"])
    within("LIST", "Été".encode(), b" ".join(ok("LIST", imap.list())))
    # Until 3.13 imaplib writes "UTF8 (" and ")" into the literal, so they are part of the message.
    within("message", UTF8.replace(b"\n", b"\r\n"), ok("FETCH", imap.fetch("1", "(BODY.PEEK[])"))[0][1])
    ok("LOGOUT", (imap.logout()[0].replace("BYE", "OK"), None))


def pop3_login():
    pop = poplib.POP3(HOST, POP3_PORT)
    within("STLS", b"+OK", pop.stls(TLS))
    within("USER", b"+OK", pop.user(USER))
    within("PASS", b"+OK", pop.pass_(PASSWORD))
    return pop


def pop3_session():
    imap = connect()
    for message in (FIRST, SECOND):
        ok("APPEND", imap.append("INBOX", None, None, message))
    imap.logout()

    pop = pop3_login()
    capabilities = pop.capa()
    for name in ("TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES"):
        within("CAPA", name, capabilities)
    sizes = [len(message.replace(b"\n", b"\r\n")) for message in (FIRST, SECOND)]
    check("STAT", pop.stat(), (2, sum(sizes)))
    check("LIST", pop.list()[1], [b"%d %d" % (index + 1, size) for index, size in enumerate(sizes)])
    uids = [line.split()[1] for line in pop.uidl()[1]]
    check("UIDL", len(set(uids)), 2)
    within("UIDL 2", uids[1], pop.uidl(2))
    check("TOP", pop.top(1, 1)[1], FIRST.split(b"\n")[:5])
    # poplib takes the dot of stuffing away.
    check("RETR", pop.retr(1)[1], FIRST.rstrip(b"\n").split(b"\n"))
    within("DELE", b"+OK", pop.dele(1))
    try:
        pop.retr(1)
        sys.exit("RETR of a message that is marked deleted is no error")
    except poplib.error_proto:
        pass
    within("QUIT", b"+OK", pop.quit())

    pop = pop3_login()
    check("UIDL after DELE", [line.split()[1] for line in pop.uidl()[1]], uids[1:])
    pop.quit()


imap_session()
utf8_session()
pop3_session()
print("all as it should be")
