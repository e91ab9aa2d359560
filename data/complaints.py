"""Does a text complain that a call failed? A small grammar of failing, as a sum of signals.

A tool says in words of its own what went wrong, and no list of messages knows them all. A reader
who knows neither the tool nor the message still sees it: a failure names itself ("Error: ..."), or
its main clause denies something ("could not", "is not allowed"), calls something wrong ("expired",
"too many"), demands something ("must be", "is required") or begs pardon. Against it speak the shape
of data (tables, logs, lists, code), a success, an empty result, and words about failures elsewhere:
definitions, titles, measures, counts, reports.

Each signal has a weight; a text complains if the sum reaches THRESHOLD. Only the beginning and the
last lines are read, so that the time does not grow with the text.
"""

import re
from typing import NamedTuple

THRESHOLD = 2
# Characters that are read of the beginning, of its first sentence and of the last lines.
BEGINNING = 3000
SENTENCE = 300
END = 600
# Characters of a line in which a failure names itself.
NAMED = 120


def any_of(*alternatives):
    """The pattern of any one of several, in capital or small letters."""
    return re.compile("|".join(alternatives), re.IGNORECASE)


# ------------------------------------------------------------------ a failure that names itself

# What may stand before it: marks and boxes, a stamp, "STDERR:", a program, a file with its line.
BEFORE = (r"[\W_]*+(\d{4}-\d\d-\d\d\S*\s+(\d[\d:.,]+\s+)?)?"
          r"((std ?err|output|message|result|response|observation|\[?[\w./\\$@+-]{1,60}\]?"
          r"( line)?(\(\d[\d,]*\)|\[\d+\])?)(:\s*\d+)*:\s+){0,3}[\W_]*+")
NAMES = r"(error|err|exception|fatal|failure|failed|panic|fault|abort|critical|severe)"
# Not the error of a measurement: Standard error: 0.5; nor what is done about errors.
NO_MEASURE = r"(?!\s*[=:]?\s*[-+±~]?\d+(\.\d+)?\s*(%|\w{1,3}\b)?\W*(,|\n|$))"
LABEL = any_of(
    rf"{BEFORE}([\w.'-]+ ){{0,3}}{NAMES}\b[^\w\s:]*( code)?( #?-?[A-Z]{{0,3}}\d{{1,6}})?"
    r"( ?[(\[](?=[^()\[\]]{0,60}(?-i:[A-Z\d]))[^()\[\]]{0,60}[)\]])*"
    rf"\W{{0,2}}([:!]|\s[-–—]\s(?!\w+ (\d|document)))(?!\s*$){NO_MEASURE}",
    rf"{BEFORE}(an? |the )?(\w+ )?errors? (has |have |was |were )?(occurred|happened"
    rf"|encountered)\b",
    rf"{BEFORE}(\w+ )?error (while|when|during|from|in|at|response|executing"
    rf"|calling)\b.{{1,80}}?[:;]",
    rf"{BEFORE}error (?!handl|report|logg|track|monitor|correct|check)\w+ing\b",
    r"error( \d{1,5})?[.!]?$",
    r"error \d{1,5}\b(?![-/])",
    r"error code( is)?\s*[:=]",
    r"[\w ]{1,40} error\.?$",
    r"(\w+ ){1,3}error\. (reason|details?)\b",
    r"\W*(E|npm err!|npm error|\w*err):?! ?",
    r"\((?-i:[A-Z])\w*(not ?found|error|exception|denied|failed|invalid\w*|forbidden|conflict"
    r"|unauthorized|exceeded|unavailable)\) ",  # Azure's
    r"E: ",
    r"\d+ validation errors? for ")
PLAIN = any_of(rf"error:(?=\s*\w){NO_MEASURE}")
# A line of a program's output that is an error, wherever it stands.
ERROR_LINE = re.compile(r"\W*(\w[\w.-]{0,20}: )?(error|fatal|ERROR|FATAL|E|npm ERR!)(\[\w+\])?: \D"
                        r"|make(\[\d+\])?: \*\*\* ")
# The name of an exception's class, as a language prints it before the message; a panic.
CLASS = re.compile(
    r"[\W_]*([\w$]+[.:]+)*(?!Mean|Standard|Std)\w*[a-z]?(Error|Exception|Failure|Fault)\d*\b"
    r"(\[\w+\]|\(\d+\))?(?=[:(]|$|\s+[A-Z(:]|\s+of\b)(?!\s*[:=]\s*[-+±]?\d+(\.\d+)?\W*$)"
    r"|(\w+\.)+[A-Z][a-z]+([A-Z]+[a-z]*)+: "
    r"|[Ee]xception in thread |thread '[^'\n]*' panicked|panic: |Unhandled |Uncaught "
    r"|\*\* \(\w+\) ")
# A trace of calls, as Python, Java and JavaScript print it.
TRACE = re.compile(r"^\W*(Traceback \(most|File \"[^\"\n]+\", line \d+|Caused by: )"
                   r"|^\s+at [^\n]{1,200}[:(]\d+|^CallStack \(from", re.MULTILINE)
# An HTTP status of failure with a word of what it is; not a number of things or of a house.
PHRASE = (r"(bad\b|un(authori|process|support|avail)|forbidden|internal\b|gateway|invalid|not "
          r"|method\b|too many|service\b|server error|client error|request|payment req|conflict"
          r"|gone\b|error\b|time-?out|get http|post http|put http|patch http|delete http)")
STATUS = any_of(
    rf"{BEFORE}(https?(/[\d.]+)? ?)?(error |status |code )*[(\[]?[45]\d\d[)\]]?[\s:,;(-]*{PHRASE}",
    r".{0,80}\b(status|http(/[\d.]+)?|code|returned|responded|response|error)"
    r"( ?(status|code|is|with|error|an?|http))*\W{0,3}[45]\d\d\b(?! (is|are|means|was)\b)(?!\w)",
    r"[(\[][45]\d\d[)\],]\W",
    r"(bad request|forbidden|unauthorized|internal server error|service unavailable|bad gateway"
    r"|(gateway )?time-?out|too many requests|conflict|gone|not acceptable|payment required)\W*$")

# ------------------------------------------------------ a main clause that tells of a failure

NOT = r"(\bnot|n['’]t|\bnever|\bno longer|\bnor)"
# An ability that is denied.
CANNOT = any_of(
    r"\b(can ?not|can.t|could not|couldn.t)\b(?! (wait|help|imagine|believe|forget|live))",
    r"\b(unable|inability|not able|failed|failing|fails|refused|refuses|declined) to\b",
    r"\bno way to\b|\bimpossible\b|\b(not|isn.t) possible\b",
    r"\b(did|does|do|will|would|may)( not|n['’]t) (want to|understand|recogni[sz]e|respond|succeed"
    r"|work|accept|support|complete|finish|start|have|match|exist|know|allow|permit|contain|look"
    r"|add|fit|appear|belong|correspond|satisfy|conform|meet|include|reach|pass|compile|apply"
    r"|parse|resolve|load|open|connect|return a|be|own|qualify|point|provide|specify|seem|get"
    r"|receive)\b")
# How failures speak in other languages: "could not", "not found", "invalid".
FOREIGN = any_of(
    r"\b(fehler|erreur|erro|errore|fout|virhe|hata|błąd|ошибка)\b( \d+)? *:",
    r"\b(no se (pudo|puede)|no (existe|encontrad[oa])|não (foi possível|pode|encontrad[oa]|existe)"
    r"|n['’](a|ont) pas? ?pu|pas autorisée?|impossible (de|d['’])|introuvable|n['’]existe pas"
    r"|inconnue?|inv[aá]lid[oa]s?|invalide|konnten? nicht"
    r"|nicht (gefunden|möglich|verfügbar|erlaubt)|existiert nicht"
    r"|ungültige?[rsn]?|non (trovat[oa]|valid[oa]|è possibile)|niet gevonden"
    r"|не (удалось|найден[аоы]?|может)|недопустим\w*)\b",
    r"错误|失败|无效|不存在|不能|无法|未找到|失敗|エラー|できません|無効"
    r"|오류|실패|없습니다|할 수 없")
# What a failure has no one of; a search has no results.
LACKING = (r"((\w+ )?(resource|action|endpoint|controller)|such|rule|route to|space left"
           r"|module named|permission|access|match(es)? for|method|connection|handler"
           r"|implementation|overload|viable|response from|credentials?|api key|host|valid"
           r"|suitable|solution|node|element|configuration|matching (distribution|manifest|package"
           r"|function|method)|\w+ (provided|specified|given|configured))")
# A state or a deed that is denied: does not exist, was not created, not allowed.
DENIED = any_of(
    rf"{NOT}( (been|be|a|an|the|yet|currently|properly|correctly|fully|any|in|on|of|one|recently"
    r"|successfully))* "
    r"(found|exists?|available|allowed|permitted|supported|valid|authori[sz]ed|recogni[sz]ed"
    r"|known|defined|declared|installed|implemented|enabled|accepted|understood|reachable"
    r"|specified|provided|given|set|configured|created|sent|saved|booked|added|updated|modified"
    r"|changed|removed|deleted|completed|processed|made|executed|applied|performed"
    r"|loaded|parsed|enough|possible"
    r"|registered|connected|initiali[sz]ed|logged|signed|authenticated|subscribed|open|running"
    r"|ready|responding|present|unique|resolved|entitled|eligible|compatible|callable"
    r"|subscriptable|iterable|integer|number|string|directory|file|git|tool|function|command"
    r"|member|owner|option|key|column|list|table|read|written|met|satisfied|held|holding|owned"
    r"|placed|scheduled|submitted|granted|working|online|assigned|activated|verified|imported"
    r"|exported|uploaded|downloaded|delivered|moved|opened|started|stopped|closed|taken|acquired"
    r"|accessible|visible|clickable|attached|interactable|editable|writable|readable|serializable"
    r"|hashable|for|used|carrying|your|calculating|right|correct|empty|equal|listed"
    r"|\w+ expression)\b",
    rf"\bno {LACKING}\b",
    r"\bno (?!changes?\b)\w+ (was|were|has been|have been|could be) (performed|made|done|executed"
    r"|applied|created|sent|booked|charged|saved|updated|written|generated)\b",
    r"\bnot in (an? |the )?(\w+ )?format\b",
    r"\bthere (is|was|are|were) no (such|package|module|tool|function|command|field|column|table"
    r"|file|parameter|argument|property)\b",
    r"\bnothing happen(s|ed)\b|\b(ERR_[A-Z_]+|ENOENT|EACCES|ECONN\w+)|n['’]t have\b"
    r"|\bwithout (permission|authenticat|a valid)")
# A word that only a failure has as its state.
WRONG = any_of(
    r"\b(failed|failing|fails|failure|invalid|illegal|denied|refused|rejected|declined|forbidden"
    r"|unauthori[sz]ed|unauthenticated|expired|exceed(s|ed|ing)?|unavailable|unreachable"
    r"|unsupported|unknown|unrecogni[sz]ed|unexpected(ly)?|undefined|undeclared|missing|malformed"
    r"|corrupt(ed)?|conflict(s|ing)?|timed[ -]?out|time-?out|aborted|blocked|insufficient"
    r"|incorrect(ly)?|wrong|improper(ly)?|incompatible|duplicated?|mismatch(ed)?|violat(es|ed|ion)"
    r"|overload(ed)?|unresolved|inaccessible|disabled|prohibited|throttled|revoked|crashed"
    r"|unhandled|uncaught|unterminated|unclosed|unbalanced|lacks?|nonexistent|non-existent"
    r"|out of (range|memory|stock|bounds|space|credits?|disk|date)|ambiguous|not enough"
    r"|bad (request|gateway|credentials?|value|input|format|url|token|response|command|option)"
    r"|killed|interrupted|suspended|deactivated|banned|obstructed|collision|deadlock"
    r"|segmentation fault|core dumped|destroyed|infeasible|unsatisfiable|unstable|misspelled"
    r"|unreadable|unparsable|unclear|overlaps?|overlapping|went wrong|went down|is down"
    r"|has incorrect|rate.?limit(ed)?|quota|access to .{1,40} is restricted)\b",
    r"\b(command|file|module|symbol|name|host) not (found|known)\b",
    r"\b(is|are|not) an? \w+ i (know|recogni[sz]e|understand)|\bhas ended\b|\b(is|are) offline\b",
    r"\b(exited|terminated|ended|finished) with (\w+ )?(code|status) -?[1-9]",
    r"(?<!never )\btoo (many|much|long|large|short|small|few|big|old|low|high|far|late|early|deep"
    r"|weak|broad|complex)\b",
    r"\b(limit|maximum|quota|cap) (has been |was |is )?(reached|hit)\b|\bover (the "
    r"|your )?\w* ?(limit|quota)\b",
    r"\b(already|currently) (\w+ )?(exists?|taken|in use|used|booked|full|sold|registered|running"
    r"|closed|cancel+ed|started|open|defined|assigned|been|reserved|holding|carrying|have|has)\b",
    r"\balready have an?\b|\bsold out\b|\bfully booked\b|\bonly \d+ .{1,30}(left|available|remain)",
    r"\b(login|sign-?in|authentication|authorization|api key|subscription|premium) (is )?(required"
    r"|needed)\b",
    r"\bpremium (endpoint|plan|feature)|\bsyntax error\b|\bparse error\b|\berror in your\b"
    r"|\bnot? ?found\b",
    r"\b(file exists|is a directory|broken pipe|permission denied|access is denied"
    r"|division by zero|connection (was )?(reset|closed|lost|aborted)|disconnected"
    r"|max(imum)? retries)\b",
    r"\b(database|file|table|account|record|resource|repository) is (currently )?(locked|busy)\b")
# A demand on what the caller gave.
DEMANDED = any_of(
    r"\b(must|should|ought to|shall)( only| all| always)?( not)? (be|have|contain|match|include"
    r"|start|end|begin|consist|specify|provide|supply|use|follow|first|either|equal|exist|come"
    r"|at least|refer|point|lie|fall|set|pass|take|return|log|choose|select|enter|wait|call)\b",
    r"\b(is|are) (a )?(required|mandatory|obligatory|needed)\b|\brequired (\w+ ){0,3}(is|was|are) ",
    r"\b(required|mandatory) (parameter|argument|field|property|value|input|option)"
    r"|\bfield required\b",
    r"\b(requires?|needs?|has to|have to) (an?|at least|to be|the|authentication|one"
    r"|\w+ (permission|scope))\b|\brequires? \w+$",
    r"\bexpect(ed|ing|s) .{1,120}(got|but|found|received|given|instead)\b|\bexpected\b.{0,12}$",
    r"\bexpected\b(?=.{0,40}\bat line\b)|\b(got|received|given|found) .{1,60} (but )?expected\b",
    r"\bat (least|most) (one|two|\d+)\b|\b(one of|limited to|only accepts?|between \d+ and)\b",
    r"\bonly .{1,60}\b(allowed|supported|accepted|permitted|possible|can|may)\b|\bcan only\b"
    r"|\bmay only\b|\b(allowed|valid|supported|available|accepted|permitted|registered"
    r"|known) (\w+ )?(values|options|formats|types|actions|choices|tools|columns"
    r"|commands)( are)?\b")
# The polite form.
SORRY = any_of(r"\b(sorry|unfortunately|apologi[sz]e|apologies|regret|oops|whoops|uh-oh)\b")
# Advice to do it otherwise.
ADVICE = any_of(
    r"\bplease (run|try|check|provide|specify|enter|select|choose|use|make sure|ensure|verify"
    r"|supply|include|input|correct|contact|wait|retry|log ?in|sign|set|give|re|upgrade|reduce"
    r"|configure|call|pick|confirm)",
    r"\btry (again|another|a different|using|one of)\b|\bdid you mean\b|\bdid you (forget"
    r"|specify)\b|--help\b|\bmake sure\b|\binstead\.?$|\b(first|again)\.?$|^usage: "
    r"|\bsee .{1,40} for (help|usage)")
# A page in place of the one that was asked for.
CHALLENGE = any_of(
    r"(verify|confirm|prove|check)\w* (that )?you('re| are) (a )?(human|not a (ro)?bot)"
    r"|\bcaptcha\b|enable javascript and cookies|checking your browser")
# At the beginning it is all that is said.
ASKS = any_of(
    r"\W*(please )(specify|provide|enter|input|check|supply|select|choose|try|give|log|use|run"
    r"|include)\b")

# At the beginning it calls what the caller gave wrong.
BLAMES = any_of(
    r"\W*(the |an? |your )?(wrong|invalid|illegal|improper\w*|malformed|missing|unknown"
    r"|unsupported|incorrect|unexpected|unrecogni[sz]ed|bad|undefined|insufficient|duplicate) \w")

# -------------------------------------------------------------------- what speaks for data

SUCCESS = any_of(
    r"\W*(ok(ay)?|done|success\w*|yes|great|all \w+ passed|passed|true|finished|ready)\b",
    r"\W*(?!not\b)(\w+ )?(added|created|updated|saved|sent|deleted|removed|booked|moved|applied"
    r"|completed|opened|wrote|written|set|started|stopped|copied|installed|uploaded|downloaded"
    r"|fixed|closed|scheduled|cancel+ed|confirmed|enabled|loaded|executed|turned|switched|found"
    r"|retrieved|fetched|processed|recorded|delivered|placed|submitted|registered|connected"
    r"|reading|listening|playing|showing|result) (?!to\b|not\b)(?!.{0,40}\b(failed|error)\b)",
    r"^(?!.*\b(not|n't|no|un\w+)\b).{0,120}\b(has been|have been|was|were|is|are"
    r"|is now) (?!not)(\w+ly )?(added|created|updated|saved|sent|deleted|removed|booked|moved"
    r"|applied|completed|opened|written|set|started|copied|installed|uploaded|downloaded|fixed"
    r"|scheduled|confirmed|enabled|recorded|delivered|placed|submitted|resolved|reserved)\b",
    r"(?!.*\b(not|n't|un\w*) success)(?!.*\b(but|error|fail)).{0,200}\bsuccess(ful|fully)?\b",
    r"\S+ (created|configured|unchanged|deleted|patched|installed|sent|succeeded|updated|added"
    r"|saved|booked|started|stopped|set)\W*$")
# There was nothing to find: the call was right.
EMPTY = any_of(
    rf".{{0,60}}\b(no|zero|0|not any|without) (?!{LACKING}\b)([\w'-]+ ){{0,5}}"
    r"(found|match(es|ed|ing)?|available|scheduled|returned|yet|to (show|display|commit|report)"
    r"|results?|changes?|events?|items?|rows?|records?|data|entries|messages?|documents?|hits"
    r"|history|conflicts?|errors?|issues?|problems?|warnings?|vulnerabilities|alerts?|updates?"
    r"|updated)\b",
    r"\W*(no|0|none) \w+(s|data)\W*$|\W*none\b|\W*nothing (?!happen)",
    r".{0,80}\b(did|do|does|has|have)(n.t| not) (match|return|find|yield|returned|contain"
    r"|have) any (\w+ )?(results?|documents?|articles|records|items|entries|rows|data|matches)\b",
    r".{0,60}\b(is|are|was) (currently )?empty\W*$|.{0,80}\bup[ -]to[ -]date\b|\W*total:? 0\b",
    r"(an? |any )?errors? (is|was|were) not found|.{0,80}\b(find|found) no\b|.{0,60}\breturned (no"
    r"|0|an empty)\b|you have no \w+")
# A failure is what the text is about, or part of a name: definitions, titles, reports of others.
ABOUT = any_of(
    r"[^:]{1,80}?\b(is|was|are|were|means?|refers? to|denotes?|describes?) (?!already|not\b)(an?"
    r"|the|one of|when)\b(?! (required|mandatory|invalid|wrong|unknown|directory|closed|locked))",
    r".{0,120}[(](1[89]|20)\d\d[)]|.{0,120}[(]\d+:\d\d[)]|.{0,80}\b(directed|written) by\b",
    r".{0,120}\b(said|says|told|asked|reported|reports|according to|yesterday|last (week|night"
    r"|month|year))\b",
    r"(what|why|who|when|where|how|have|has|is|are|did|do|does|you haven.t)\b[^.]{0,200}\?\W*$",
    r"\W*(how to|what is|why|fix(ing|ed)?|handl(e|ing)|understanding|introduction|added|re:|fwd?:"
    r"|subject:|from:|title:|q:|question:|answer:|published|abstract|commit|author:|page \d)",
    r"\w+ (->|=>|→|=) \w|\w+[:] .{1,60} (->|→) ",
    r"(error|errors|exception)s?[- ](free|handling|handler|correction|propagation|messages?|codes?"
    r"|logs?|pages?)\b",
    r"\W*(the )?(contents?|text|body|transcript|summary) (of|from) \S",
    r"errors and |in (1[89]|20)\d\d,? |(translation|lyrics|quote|headline|\w+ status) ?: ",
    r"[^:]{1,40}: an? \w+ (of|in|for|about)\b")
# An error that is measured or counted.
MEASURED = any_of(
    r".{0,80}\b(errors?|failed|failures?|warnings?|timeouts?|exceptions?"
    r"|invalid)\s*[:=]\s*[-+±]?\d+(\.\d+)?\s*(%|\w{1,3}\b)?\s*(,|;|\.?$)",
    r"(\W*|(.{0,60} )?(found|with|has|had|and) |.{0,40}, )\d+ (\w+ )?(errors?|failed|failures?"
    r"|passed|warnings?|problems?|succeeded)\b(?! (for|occurred|:))",
    r".{0,60}\berror (rate|term|margin|bound|bars?)\b",
    r"\w+[ =:]+\d+(\.\d+)?%")
# A warning is no failure, nor is a note.
NOTED = any_of(r"[\W_]*(warn(ing)?|note|notice|info|information|hint|tip|debug|heads up"
               r"|deprecat\w+|reminder)\b"
               r"( \w+)?\s*(:|\]|\d{4}:|-)", r"npm warn ")

STAMP = re.compile(r".{0,30}?(\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d)?\b|\b\d\d?/\w\w\w/\d{4}|\bts="
                   r"|\btime=)")
COLUMNS = re.compile(r"(?!\s*\d*\s*\|[^|]*$)(\s*\S.*?(\s{2,}|\t|\s\|\s)\S.*?(\s{2,}|\t|\s\|\s)\S"
                     r"|[^,\n]+(,[^,\s][^,\n]*){2,}$|\s*\S[^|:]* \| |[\s+-]*-{3,}[+-]+-{3,})")
# The title of a list: "Console messages (3):"
COUNTED = re.compile(r"[\w ]{1,40}\(\d+\):\s*$")
# The title of a document in Markdown.
TITLE = re.compile(r"#{1,3} \w")
# The heads of a table's columns.
HEADS = re.compile(r"\s*[A-Z]{2,}(\s+[A-Z]{2,}){2,}\s*$")
MARKED = re.compile(r"\s*([-*•] |\[\d+\] |[0-9a-f]{7,40} |\d+[.):] |#\d+\b|\[\w+\] \S+$"
                    r"|(result|item|page|option|step|doc\w*) \d+\b|[\w./-]+:\d+:|[\w./-]+\.\w{1,5}$"
                    r"|[^\s:\"']{1,20}: (?!.*\berror))", re.IGNORECASE)
HEADED = re.compile(r"\s*(page|snippet|abstract|from|to|subject|date|title|published|author"
                    r"|commit|name|description|summary|url|body|cc|content|input|query|location"
                    r"|address|price|rating|id|status"
                    r"|topic)\s*:", re.IGNORECASE)
CODE = re.compile(r"\s*(def |class |import |from \w+ import|try:|raise |return |public |private "
                  r"|#include|function |const |let |var |\d+\t|\d+ [|│] |@\w+|diff --git|@@ )"
                  r"|.*[{;]\s*$")
# Tests that were run; the nearest titles of a search without hits.
SUMMED_UP = any_of(r".{0,40}\b\d+ (failed|passed)\b")
OFFERED = any_of(r"\W(similar|related)\b[^\n]{0,20}: ?\[")
CALM = re.compile(r"\W*(\S+ )?\W*(INFO|DEBUG|TRACE|NOTICE)\b|\[(WARN(ING)?|LOG)\]")
# What a document says of a status.
DEFINED = any_of(r"\bstatus code (indicates|means)\b")


class Signal(NamedTuple):
    """What a sentence may hold, and how much it speaks for a complaint."""

    pattern: re.Pattern
    weight: int


# Searched for in a sentence, wherever it stands.
CLAUSE = (
    Signal(CANNOT, 2),
    Signal(DENIED, 2),
    Signal(WRONG, 2),
    Signal(FOREIGN, 2),
    Signal(DEMANDED, 2),
    Signal(SORRY, 2),
    Signal(ADVICE, 1),
)
# Matched from the beginning of a sentence.
START = (
    Signal(STATUS, 3),
    Signal(ASKS, 1),
    Signal(BLAMES, 2),
    Signal(SUCCESS, -3),
    Signal(EMPTY, -3),
    Signal(ABOUT, -3),
    Signal(MEASURED, -4),
    Signal(NOTED, -3),
)
QUOTED = re.compile(r"(?<!\w)(['\"`])(?=\S)[^\n]{0,120}?\1(?!\w)|“[^”\n]{0,120}”")
SENTENCES = re.compile(r"(?<=[^.\s][.!?])\s+(?=[A-Z\"'(])|\n+")


def complains(text):
    """Whether a text that is no JSON complains of a failed call.

    >>> complains("Sorry, flight KL1234 is already full.")
    True
    >>> complains("Your table is booked. Cancellations without 24 h notice are refused.")
    False
    """
    return score(text) >= THRESHOLD


def score(text):
    """The sum of the signals of a text; see the top of this file."""
    text = text.strip()
    lines = [line for line in text[:BEGINNING].splitlines() if line.strip()][:60]
    if not lines:
        return 0
    named = _names_itself(text, lines)
    sentences = SENTENCES.split(text[:2 * SENTENCE])
    first = _of_sentence(sentences[0][:SENTENCE])
    total = named + first + _of_shape(text, lines)
    if first == 0 and len(text) < 2 * SENTENCE and len(sentences) > 1:
        total += _of_sentence(sentences[1][:SENTENCE])
    return total


def _names_itself(text, lines):
    """3 if the first lines or the last ones name a failure, or a trace of calls begins.

    More for a text that begins with the word "Error:": who writes that does not mean a success,
    whatever follows ("Error: no results"). So do programs whose last line is an error.
    """
    last = [line for line in text[-END:].splitlines() if line.strip()][-2:]
    if PLAIN.match(text) or ERROR_LINE.match(last[-1]):
        return 6
    for line in lines[:2] + (last if len(text) > len(lines[0]) else []):
        if LABEL.match(line[:NAMED]) or CLASS.match(line[:NAMED]):
            return 3
    if TRACE.search("\n".join(lines[:8])):
        return 6 if any(map(CLASS.match, lines[:8])) else 3
    if any(map(ERROR_LINE.match, lines[:12])):
        return 3
    return 3 if len(text) < 2 * SENTENCE and CHALLENGE.search(text) else 0


def _of_sentence(sentence):
    """The signals of one sentence: at most two kinds that speak for a complaint are counted."""
    plain = QUOTED.sub("Q", sentence)
    found = sum(signal.weight for signal in CLAUSE if signal.pattern.search(plain))
    return min(found, 4) + sum(signal.weight for signal in START if signal.pattern.match(plain))


def _of_shape(text, lines):
    """What the lines look like: logs, tables, lists, mails, code and articles are data."""
    shape = -1 if len(text) > 2 * SENTENCE else 0
    if OFFERED.search(text[:2 * SENTENCE]) or DEFINED.search(text[:2 * SENTENCE]):
        shape -= 3
    if len(lines) == 1:
        return shape
    if COUNTED.match(lines[0]):
        shape -= 5
    if TITLE.match(lines[0]):
        shape -= 3
    lines = [line for line in lines if not ERROR_LINE.match(line)] or lines
    if HEADS.match(lines[0]) and "  " in lines[0].strip():
        shape -= 3
    if SUMMED_UP.match(lines[-1]) or any(map(CALM.match, lines)):
        shape -= 5
    if sum(bool(STAMP.match(line)) for line in lines) > 1:
        shape -= 5
    for pattern in (COLUMNS, MARKED, HEADED, CODE):
        count = sum(bool(pattern.match(line)) for line in lines)
        if count > 1 and (
                pattern in (COLUMNS, MARKED) or pattern.match(lines[0])):
            shape -= 3
    return shape
