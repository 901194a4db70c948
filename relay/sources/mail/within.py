"""Whether a writer says that the answers stand inside of what is quoted: "my answers below in red".

Outlook marks no line of a quotation, so that an answer in colour cannot be told from what it answers. Who names such
answers wants the quotation to be read, and it stays. A phrase that is missing here costs those answers; one too many
leaves a quotation in.
"""

from __future__ import annotations

import re

#: A writer says so at the top or right above the quotation; a longer answer is looked at up to here.
MAX_POINTING_CHARS = 2000

#: What may stand between "answers" and "in red".
_BETWEEN = r"[^.!?。！？\n]{0,40}?"

#: In each language: words without one of which no place is named, what is said to stand there, and where. "Your answer below"
#: is the one that is quoted.
_PHRASES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("line", "in red", "in blue", "in green", "in purple", "in orange", "in pink", "in magenta", "in bold", "in cap", "in col"),
        r"(?<!your )(?<!their )(?<!his )(?<!her )\b(?:answers|replies|responses|comments|remarks|feedback|thoughts|notes"
        r"|(?:my|our) (?:answer|reply|response|comment|note)|see(?= (?:below |it |them |text )?in)|answered|replied|responded|commented)\b",
        r"\b(?:in-?line|in (?:red|blue|green|purple|orange|pink|magenta|bold|capitals|caps|colou?r)|between the lines)\b",
    ),
    (
        ("below", "beneath", "underneath"),
        r"(?<!your )(?<!their )(?<!his )(?<!her )\b(?:answers|replies|responses|comments|remarks"
        r"|(?:my|our) (?:answer|reply|response|comment|feedback|notes?|thoughts))\b",
        r"\b(?:below|beneath|underneath)\b",
    ),
    (
        ("inline", "in-line"),
        r"\bin-?line\b", r"\b(?:answers|replies|responses|comments|remarks)\b",
    ),
    (
        ("unten", "inline", "im text", "dazwischen", "rot", "blau", "grün", "farbe", "fett"),
        r"(?<!ihre )(?<!deine )(?<!eure )\b(?:antworten|kommentare|anmerkungen|rückmeldungen|ergänzungen|meine antwort)\b",
        r"\b(?:unten|inline|im text|dazwischen|(?:in )?(?:rot|blau|grün|farbe|fett|roter schrift|blauer schrift))\b",
    ),
    (
        ("dessous", "plus bas", "le texte", "en rouge", "en bleu", "en vert", "en gras", "en couleur"),
        r"(?<!vos )(?<!votre )(?<!tes )\b(?:réponses|commentaires|remarques|précisions|ma réponse|mes réponses)\b",
        r"\b(?:ci-dessous|plus bas|dans le texte|en (?:rouge|bleu|vert|gras|couleur))\b",
    ),
    (
        ("abajo", "debajo", "el texto", "en rojo", "en azul", "en verde", "en negrita", "en color"),
        r"(?<!sus )(?<!tus )\b(?:respuestas|comentarios|mi respuesta|respondo|contesto)\b",
        r"\b(?:abajo|debajo|en (?:el texto|rojo|azul|verde|negrita|color))\b",
    ),
    (
        ("sotto", "nel testo", "in rosso", "in blu", "in verde", "in grassetto"),
        r"(?<!vostre )(?<!tue )(?<!sue )\b(?:risposte|commenti|la mia risposta|rispondo)\b",
        r"\b(?:sotto|nel testo|in (?:rosso|blu|verde|grassetto))\b",
    ),
    (
        ("abaixo", "em baixo", "no texto", "vermelho", "azul", "verde", "negrito"),
        r"(?<!suas )(?<!tuas )\b(?:respostas|comentários|minha resposta|respondo)\b",
        r"\b(?:abaixo|em baixo|no texto|(?:em|a) (?:vermelho|azul|verde|negrito))\b",
    ),
    (
        ("hieronder", "inline", "de tekst", "rood", "blauw", "groen", "vet"),
        r"(?<!uw )(?<!je )(?<!jullie )\b(?:antwoorden|opmerkingen|reacties|mijn antwoord|mijn reactie)\b",
        r"\b(?:hieronder|inline|in de tekst|in (?:het )?(?:rood|blauw|groen|vet))\b",
    ),
    (
        ("nedan", "nedenfor", "herunder", "inline", "i teksten", "i texten", "rött", "blått", "grönt", "rødt", "grøn", "rød", "blå", "röd", "grön"),
        r"(?<!ditt )(?<!dina )(?<!era )(?<!ert )(?<!dine )(?<!dit )(?<!jeres )\b(?:svar|svaren|svarene|kommentarer|kommentarene|kommentarerna)\b",
        r"\b(?:nedan|nedanför|nedenfor|herunder|inline|i teksten|i texten|(?:i|med) (?:rött|blått|grönt|rødt|blåt|grøn|rød|blå|röd|grön))\b",
    ),
    (
        ("alla", "alempana", "tekstissä", "punaisella", "sinisellä", "vihreällä"),
        r"\b(?:vastaukset|vastaukseni|kommentit|kommenttini|vastauksia)\b",
        r"\b(?:alla|alempana|tekstissä|punaisella|sinisellä|vihreällä)\b",
    ),
    (
        ("poniżej", "w tekście", "na czerw", "na nieb", "na ziel", "níže", "v textu", "nižšie", "červen", "modře", "zeleně"),
        r"\b(?:odpowiedzi|komentarze|uwagi|odpovědi|komentáře|odpovede|komentáre)\b",
        r"\b(?:poniżej|w tekście|na czerwono|na niebiesko|na zielono|níže|v textu|nižšie|červeně|modře|zeleně|červenou)\b",
    ),
    (
        ("lent", "alább", "pirossal", "kékkel", "zölddel"),
        r"\b(?:válasza\w{1,9}|megjegyzése\w{1,9})\b", r"\b(?:lent|alább|lentebb|pirossal|kékkel|zölddel)\b",
    ),
    (
        ("mai jos", "cu ro", "cu albastru", "cu verde"),
        r"\b(?:răspunsuri\w{0,9}|comentarii\w{0,9})\b", r"\b(?:mai jos|cu ro[sșş]u|cu albastru|cu verde)\b",
    ),
    (
        ("παρακάτω", "με κόκκινο", "με μπλε"),
        r"\b(?:απαντήσεις|σχόλια)\b", r"\b(?:παρακάτω|με κόκκινο|με μπλε)\b",
    ),
    (
        ("ниже", "в тексте", "красным", "синим", "зел", "нижче", "у тексті", "червоним", "синім"),
        r"\b(?:ответы|комментарии|відповіді|коментарі)\b",
        r"\b(?:ниже|в тексте|красным|синим|зел[её]ным|нижче|у тексті|червоним|синім)\b",
    ),
    (
        ("aşağıda", "kırmızı", "mavi", "yeşil"),
        r"\b(?:cevaplar\w{0,9}|yanıtlar\w{0,9}|yorumlar\w{0,9})\b", r"\b(?:aşağıda|kırmızı|mavi|yeşil)\b",
    ),
    (
        ("أدناه", "بالأحمر", "بالأزرق", "باللون"),
        r"(?:ردودي|إجاباتي|تعليقاتي)", r"(?:أدناه|بالأحمر|بالأزرق|باللون)",
    ),
    (
        ("למטה", "להלן", "באדום", "בכחול", "בירוק"),
        r"(?:תשובותיי|תשובות|הערותיי|הערות)", r"(?:למטה|להלן|באדום|בכחול|בירוק)",
    ),
    (
        ("字", "色", "イン"),
        r"(?:回答|返信|コメント|回复|回覆|答复|答覆|批注)", r"(?:赤字|青字|赤色|青色|インライン|红色|红字|紅色|紅字|蓝色|藍色)",
    ),
    (
        ("字", "色", "イン"),
        r"(?:赤字|青字|赤色|青色|インライン|红色|红字|紅色|紅字|蓝色|藍色)", r"(?:回答|返信|コメント|記入|記載|回复|回覆|答复|答覆|批注|标注)",
    ),
    (
        ("빨간", "붉은", "파란"),
        r"(?:빨간|붉은|파란)", r"(?:답변|회신|의견|코멘트)",
    ),
)  # fmt: skip
_SAYS_SO = tuple((stems, re.compile(what + _BETWEEN + where)) for stems, what, where in _PHRASES)


def answers_within(note: str) -> bool:
    """Tell whether what stands above a quotation says that the answers are inside of it."""
    note = " ".join(note[:MAX_POINTING_CHARS].split()).lower()
    return any(
        any(stem in note for stem in stems) and phrase.search(note) is not None for stems, phrase in _SAYS_SO
    )
