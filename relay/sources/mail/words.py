"""Words by which mail programs of many languages introduce what they quote.

No cut is taken on a word alone: `attribution` and `header_block` ask for a time, a date or an address beside it. So a
word that is missing here costs a quote that stays in, and a word too many costs nothing by itself.
"""

from __future__ import annotations

import re


def _phrases(text: str) -> set[str]:
    return {phrase.strip() for phrase in text.replace("\n", "|").split("|")} - {""}


def _any_of(phrases: str) -> str:
    """One alternative per line or `|` of `phrases`, blanks in them as any blanks; the longest first."""
    found = _phrases(phrases)
    return "|".join(
        r"\s".join(re.escape(word) for word in phrase.split())
        for phrase in sorted(found, key=lambda p: (-len(p), p))
    )


_VERBS = """
        wrote | writes | schrieb | a écrit | écrivait | escribió | escrigué | va escriure | ha escrit | ha scritto
        scrive | scrisse | schreef | geschreven | skrev | kirjoitti | escreveu | napisał | napisała | napisał(a)
        napísal | napísal(a) | napísala | napsal | napsal(a) | napsala | píše | pisze | napisana przez | odesílatel
        používateľ | użytkownik | írta | ezt írta | a scris | έγραψε | πρόσθεσε | написал | написала | написал(а)
        пишет | писал | пользователь | пише | написав | написала | написав(ла) | користувач | написа | napisao
        napisala | napisao/la | je napisal | je napisala | rašė | parašė | rakstīja | kirjutas | yazdı | şunu yazdı
        şunları yazdı | đã viết | menulis | skrifaði | idatzi du | escribiu | כתב | כתבה | מאת | كتب | كتبت | نوشت
        ने लिखा | напісаў | напісала | жазды | yozdi | գրեց | დაწერა
    """
_UNPARTED_VERBS = "写道 | 寫道 | 写到 | 寫到 | のメール | 書きました | 님이 작성 | 작성: | 썼습니다 | 쓴 글 | เขียนว่า | ได้เขียน"

#: "wrote", as attributions say it. Where a language has blanks between words, only as a word of its own.
VERB = re.compile(
    r"(?<![^\W_])(?:" + _any_of(_VERBS) + r")(?![^\W_])|" + _any_of(_UNPARTED_VERBS), re.IGNORECASE
)
#: What a line that ends with such a word ends with, in lower case.
VERB_ENDS = tuple(sorted(_phrases(_VERBS) | _phrases(_UNPARTED_VERBS)))

#: Lines that say "original message" between dashes: what follows is quoted.
ORIGINAL = re.compile(
    _any_of(
        """
        original message | original appointment | reply message | originalnachricht | ursprüngliche nachricht
        original-nachricht | antwort nachricht | ursprünglicher termin | message d'origine | message d’origine
        message original | message initial | courriel original | mensaje original | missatge original
        messaggio originale | oorspronkelijk bericht | origineel bericht | ursprungligt meddelande
        originalmeddelande | oprindelig meddelelse | opprinnelig melding | alkuperäinen viesti | mensagem original
        wiadomość oryginalna | oryginalna wiadomość | wiadomość pierwotna | původní zpráva | pôvodná správa
        eredeti üzenet | mesaj original | mesajul original | αρχικό μήνυμα | исходное сообщение
        оригинальное сообщение | вихідне повідомлення | оригінальне повідомлення
        оригинално съобщение | izvorna poruka | originalna poruka | izvirno sporočilo | pradinis laiškas
        sākotnējais ziņojums | algne kiri | özgün ileti | orijinal mesaj | tin nhắn gốc | thư gốc | pesan asli
        הודעה מקורית | الرسالة الأصلية | 原始邮件 | 原始郵件 | 原始信件 | 原件 | 元のメッセージ | オリジナルメッセージ
        원본 메시지 | 원본 메일 | 원본 이메일 | 回复的原邮件 | 回覆的原郵件
        """
    ),
    re.IGNORECASE,
)

#: Lines that say that a mail is passed on: what follows is the message.
FORWARD = re.compile(
    _any_of(
        """
        forwarded message | forwarded mail | forwarded by | forwarded email | weitergeleitete nachricht
        weitergeleiteten nachricht | weitergeleitete e-mail | message transféré | message transmis
        courriel transféré | mensaje reenviado | missatge reenviat | messaggio inoltrato | doorgestuurd bericht
        vidarebefordrat meddelande | vidarebefordrat brev | vidaresänt meddelande | videresendt besked
        videresendt meddelelse | videresendt melding | videresendt e-post | välitetty viesti | edelleenlähetetty viesti
        mensagem encaminhada | mensagem reencaminhada | wiadomość przekazana | przekazana wiadomość
        treść przekazanej wiadomości | přeposlaná zpráva | přeposlané zprávy | preposlaná správa | továbbított üzenet
        továbbított levél | mesaj redirecționat | mesaj redirecţionat | mesaj transmis | προωθημένο μήνυμα
        προωθημένου μηνύματος | пересланное сообщение | переслане повідомлення | перенаправлене повідомлення
        препратено съобщение | proslijeđena poruka | prosleđena poruka | posredovano sporočilo | persiųstas laiškas
        pārsūtītā ziņa | edastatud kiri | iletilen mesaj | yönlendirilmiş mesaj | iletilmiş ileti | tin nhắn được chuyển
        thư được chuyển tiếp | pesan terusan | pesan yang diteruskan | הודעה שהועברה | رسالة معاد توجيهها
        転送メッセージ | 転送されたメッセージ | 转发的邮件 | 转发邮件 | 轉寄的郵件 | 轉寄郵件 | 被转发邮件信息
        已转发邮件 | 已轉寄郵件 | 전달된 메시지 | 전달한 메일 | 转发的原邮件 | 轉發的原郵件 | 轉寄訊息 | 轉寄的訊息
        mail transféré | transféré par | réexpédié par | message réexpédié | weitergeleitet von | weitergeleitet durch
        inoltrato da | doorgestuurd door | vidarebefordrat av | reenviado por | encaminhado por | przekazane przez
        przesłana wiadomość | przesyłana wiadomość | videresendt e-mail | videresendt mail | videresendt af
        пересылаемое сообщение | пересылаемого сообщения | пересланное письмо | перенаправленное сообщение
        yönlendirilen ileti | yönlendirilen e-posta | تحويل رسالة | رسالة محولة | הודעה מועברת
        """
    ),
    re.IGNORECASE,
)

#: What gateways put before a subject: "[EXTERNAL]", "*EXT*", "(Ext)", "EXTERN:"; a ticket's number.
_BANNERS = r"\s*(?:(?:\[[^\]]{0,60}\]|\([^()]{1,20}\)|\*{1,3}[^*]{1,20}\*{1,3}|exte?rne?(?:al)?\s?:)\s*){0,3}"
#: "FW:", "Fwd[2]:", "Fwd (2):".
_COLON = r"\s?(?:\[\d{1,3}\]|\(\d{1,3}\))?\s?[.]?[:：]"
#: What a subject begins with where its mail is passed on.
FORWARDED_SUBJECT = re.compile(
    _BANNERS
    + r"(?:fwd?|wg|tr|rv|enc|i|vb|vl|pd|př|doorst|továbbítás|tov|fs|ilt|i̇lt|προωθ|πρθ|пересл|转发|转|轉寄|轉|転送|전달"
    r"|weitergeleitet|přeposláno|إعادة توجيه|הועבר)" + _COLON,
    re.IGNORECASE,
)
#: The same where the letters have two meanings: a mail passed on in Danish and Norwegian, an answer in Finnish.
MAYBE_FORWARDED_SUBJECT = re.compile(_BANNERS + "vs" + _COLON, re.IGNORECASE)
#: Sender's label in a mail that was passed on in Danish or Norwegian.
SCANDINAVIAN_SENDER = "Fra:"

#: Help desks' line that parts an answer from what it answers.
REPLY_ABOVE = re.compile(
    _any_of(
        """
        type your reply above this line | reply above this line | write your reply above this line
        enter your reply above this line | reply above the line | write above this line
        antwort oberhalb dieser zeile | antworten sie oberhalb dieser zeile | über dieser zeile antworten
        antworten sie über dieser zeile | réponse au-dessus de cette ligne | répondre au-dessus de cette ligne
        répondez au-dessus de cette ligne | respuesta por encima de esta línea | respuesta encima de esta línea
        responda por encima de esta línea | risposta sopra questa riga | rispondi sopra questa riga
        rispondere sopra questa riga | antwoord boven deze regel | reageer boven deze regel
        resposta acima desta linha | responda acima desta linha | svar ovanför denna rad | svar ovanför den här raden
        svara ovanför denna rad | svar over denne linje | svar over denne linjen | vastauksesi tämän rivin yläpuolelle
        vastaa tämän rivin yläpuolelle | odpowiedź powyżej tej linii | odpowiedź nad tą linią
        odpověď nad tento řádek | odpoveď nad tento riadok | válaszát a vonal fölé | răspunsul deasupra acestei linii
        ответ выше этой строки | ответ над этой линией | відповідь вище цього рядка | yanıtınızı bu satırın üstüne
        この行より上に | この行の上に | 此行上方 | 此行以上 | 在此行上 | 이 줄 위에
        """
    ),
    re.IGNORECASE,
)

#: Labels of a quoted mail's header, by what they stand for. `sent` is what Outlook says for a date, and no form does.
_LABELS = {
    "from": """
        from | von | de | da | van | från | fra | lähettäjä | od | odesílatel | feladó | de la | από | от | від | gönderen
        kimden | từ | dari | מאת | من | từ | отправитель | відправник | nuo | no | saatja | kellelt | pošiljatelj | šalje
        expéditeur | remitente | mittente | afzender | avsändare | afsender | avsender | remetente | nadawca | expeditor
        absender | αποστολέας | подател | 差出人 | 送信者 | 发件人 | 發件人 | 寄件者 | 寄件人 | 보낸 사람 | 보낸사람 | ผู้ส่ง | จาก
        """,
    "sent": """
        sent | gesendet | envoyé | envoyé le | date d'envoi | date d’envoi | enviado | enviado el | enviada | enviada em
        enviado em | inviato | verzonden | skickat | sendt | lähetetty | wysłane | wysłano | odesláno | odoslané
        elküldve | küldve | trimis | στάλθηκε | απεστάλη | отправлено | надіслано | изпратено | poslano | išsiųsta
        nosūtīts | saadetud | gönderildi | gönderilme tarihi | đã gửi | terkirim | dikirim | נשלח | تم الإرسال | أُرسلت
        送信日時 | 送信日 | 发送时间 | 發送時間 | 寄件日期 | 傳送時間 | 보낸 날짜 | 보낸날짜 | message du | enviat | ส่งเมื่อ | ส่ง
        gesendet am | datum gesendet | sent on | 보낸 시간 | 보낸시간 | gönderilen | gönderme tarihi | 寄件時間 | 發送日期 | 发送日期
        """,
    "date": """
        date | datum | data | fecha | dato | päivämäärä | päiväys | pvm | dátum | ημερομηνία | дата | tarih | ngày
        tanggal | תאריך | التاريخ | kuupäev | datums | 日付 | 日時 | 日期 | 时间 | 時間 | 날짜 | วันที่ | data i godzina
        """,
    "to": """
        to | an | à | a | para | aan | till | til | vastaanottaja | do | komu | pre | címzett | către | προς | кому | до
        kime | alıcı | đến | kepada | ke | אל | إلى | za | kam | kam | kellele | saaja | destinataire | destinatario
        destinatário | empfänger | ontvanger | mottagare | modtager | mottaker | per | prima | gavėjas | кому
        宛先 | 收件人 | 收件者 | 받는 사람 | 받는사람 | ถึง
        """,
    "cc": """
        cc | kopie | copie | copie à | copia | cópia | kopia | kopi | kopio | másolatot kap | másolat
        κοιν. | κοινοποίηση | копия | копія | dw | bcc | 抄送 | 副本 | 참조 | bilgi | đồng kính gửi | kópia | c.c. | ccn | bil
        reply-to | reply to | antwort an | répondre à | responder a | rispondi a | risposta | svar till | svar til
        antwoorden aan | 返信先 | 答复 | 回复 | ответить
        """,
    "subject": """
        subject | betreff | objet | asunto | oggetto | onderwerp | ämne | emne | aihe | assunto | temat | předmět | predmet
        predmet | tárgy | subiect | θέμα | тема | относно | konu | chủ đề | tiêu đề | subjek | perihal | נושא | الموضوع
        zadeva | tema | temats | teema | assumpte | 件名 | 主题 | 主題 | 主旨 | 제목 | เรื่อง
        """,
}
ROLE: dict[str, frozenset[str]] = {}
for _role, _labels in _LABELS.items():
    for _label in _phrases(_labels):
        ROLE[_label] = ROLE.get(_label, frozenset()) | {_role}

#: Labels of web forms. A block that has one is somebody's form, and no quoted header.
FORM_LABELS = frozenset(
    _phrases(
        """
        message | nachricht | comment | comments | kommentar | name | email | e-mail | mail | phone | telephone | telefon
        tel | company | firma | question | description | body | besked | meddelande | mensaje | mensagem | messaggio
        bericht | viesti | wiadomość | zpráva | сообщение | メッセージ | address | url | website | source | status | priority
        """
    )
)
