"""The pages' texts in three languages, and how each writes money and days."""

from datetime import UTC, datetime

from fake_stripe.vouchers import SAO_PAULO

DEFAULT = "pt-BR"
ZERO_DECIMAL = ("clp", "jpy", "krw", "pyg", "vnd")
SYMBOLS = {"brl": "R$", "eur": "€", "usd": "US$"}

PORTUGUESE = {
    "pay_to": "Pagar a", "test_mode": "Modo de teste: nada é cobrado", "method": "Forma de pagamento",
    "card": "Cartão", "pix": "Pix", "boleto": "Boleto", "quantity": "Quantidade", "total": "Total",
    "card_number": "Número do cartão", "card_expiry": "Validade", "card_code": "CVC", "card_name": "Nome no cartão",
    "pay": "Pagar {amount}", "declined_card": "Para ver uma recusa:",
    "declined": "O cartão foi recusado. Tente outro cartão ou outra forma de pagamento.",
    "not_a_test_card": "Use um dos cartões de teste. Nunca digite um cartão de verdade aqui.",
    "pix_intro": "Gere o código e pague no aplicativo do banco. O pagamento é confirmado depois.",
    "pix_make": "Gerar código Pix", "pix_code": "Pix copia e cola", "pix_valid": "Válido até {when}",
    "boleto_intro": "O boleto pode levar até dois dias úteis para ser confirmado.", "boleto_make": "Gerar boleto",
    "boleto_number": "Linha digitável", "boleto_due": "Vence em {when}", "copy": "Copiar", "copied": "Copiado",
    "qr_label": "Código QR do Pix", "simulate": "Simular o banco", "paid_now": "Foi pago",
    "pix_lapse": "Deixar expirar",
    "boleto_lapse": "Venceu sem pagamento", "state_paid": "Pagamento confirmado",
    "paid_text": "Recebemos {amount}. Obrigado!", "state_waiting": "Aguardando o pagamento",
    "waiting_text": "Assim que o banco confirmar, a compra é concluída.", "state_failed": "Pagamento não realizado",
    "failed_text": "O código expirou sem pagamento. Nada foi cobrado.", "state_expired": "Sessão expirada",
    "expired_text": "Esta página de pagamento não vale mais. Nada foi cobrado.", "back_success": "Voltar à loja",
    "back_cancel": "Cancelar e voltar", "state_open": "Aberta", "not_found": "Página não encontrada",
    "not_found_text": "Este endereço não existe nesta loja de teste.",
    "powered": "Stripe de mentira, para desenvolvimento",
    "sessions": "Pagamentos", "no_sessions": "Nenhum pagamento ainda. Crie uma sessão pela API e ela aparece aqui.",
    "what": "O que", "amount": "Valor", "state": "Estado", "actions": "Ações", "open_page": "Página de pagamento",
    "do_pay": "Pagar", "do_confirm_pix": "Gerar Pix", "do_confirm_boleto": "Gerar boleto", "do_fail": "Falhar",
    "do_expire": "Expirar", "do_late": "Pagar mesmo assim", "refund_amount": "Devolver (centavos)",
    "do_refund": "Devolver", "do_dispute": "Contestar", "refund": "Devolução", "dispute": "Contestação",
    "do_refund_fail": "Devolução falha",
    "do_won": "Loja ganha", "do_lost": "Loja perde", "deliveries": "Entregas de eventos", "event": "Evento",
    "answer": "Resposta", "attempt": "Tentativa", "when": "Quando", "no_deliveries": "Nenhum evento foi enviado.",
    "goes_to": "Eventos vão para", "goes_nowhere": "Eventos não são enviados: falta --webhook-url.",
    "do_stop": "Parar entregas", "do_start": "Retomar entregas", "do_duplicate": "Duplicar o próximo",
    "do_lose": "Perder o próximo", "do_redeliver": "Reenviar todos", "stopped": "Entregas paradas.",
    "newest": "As {count} mais recentes", "reload": "Atualizar", "skip": "Ir ao conteúdo",
}  # fmt: skip
ENGLISH = {
    "pay_to": "Pay", "test_mode": "Test mode: nothing is charged", "method": "Payment method",
    "card": "Card", "pix": "Pix", "boleto": "Boleto", "quantity": "Quantity", "total": "Total",
    "card_number": "Card number", "card_expiry": "Expiry", "card_code": "CVC", "card_name": "Name on card",
    "pay": "Pay {amount}", "declined_card": "To see it declined:",
    "declined": "The card was declined. Try another card or another payment method.",
    "not_a_test_card": "Use one of the test cards. Never type a real card here.",
    "pix_intro": "Make the code and pay in your bank's app. The payment is confirmed later.",
    "pix_make": "Make Pix code", "pix_code": "Pix code", "pix_valid": "Valid until {when}",
    "boleto_intro": "A boleto can take up to two business days to be confirmed.", "boleto_make": "Make boleto",
    "boleto_number": "Boleto number", "boleto_due": "Due on {when}", "copy": "Copy", "copied": "Copied",
    "qr_label": "Pix QR code", "simulate": "Play the bank", "paid_now": "It was paid", "pix_lapse": "Let it expire",
    "boleto_lapse": "Lapsed unpaid", "state_paid": "Payment confirmed", "paid_text": "We received {amount}. Thank you!",
    "state_waiting": "Waiting for the payment", "waiting_text": "The purchase completes once the bank confirms.",
    "state_failed": "Payment not made", "failed_text": "The code expired unpaid. Nothing was charged.",
    "state_expired": "Session expired", "expired_text": "This payment page is no longer valid. Nothing was charged.",
    "back_success": "Back to the shop", "back_cancel": "Cancel and go back", "state_open": "Open",
    "not_found": "Page not found", "not_found_text": "This address does not exist in this test shop.",
    "powered": "A fake Stripe, for development", "sessions": "Payments",
    "no_sessions": "No payments yet. Create a session through the API and it appears here.", "what": "What",
    "amount": "Amount", "state": "State", "actions": "Actions", "open_page": "Payment page", "do_pay": "Pay",
    "do_confirm_pix": "Make Pix", "do_confirm_boleto": "Make boleto", "do_fail": "Fail", "do_expire": "Expire",
    "do_late": "Pay all the same", "refund_amount": "Refund (cents)", "do_refund": "Refund", "do_dispute": "Dispute",
    "refund": "Refund", "dispute": "Dispute", "do_refund_fail": "Refund fails", "do_won": "Shop wins",
    "do_lost": "Shop loses", "deliveries": "Event deliveries", "event": "Event", "answer": "Answer",
    "attempt": "Attempt", "when": "When", "no_deliveries": "No event has been sent.", "goes_to": "Events go to",
    "goes_nowhere": "Events are not sent: there is no --webhook-url.", "do_stop": "Stop deliveries",
    "do_start": "Resume deliveries", "do_duplicate": "Duplicate the next", "do_lose": "Lose the next",
    "do_redeliver": "Send all again", "stopped": "Deliveries are stopped.", "newest": "The newest {count}",
    "reload": "Refresh", "skip": "Skip to content",
}  # fmt: skip
SPANISH = {
    "pay_to": "Pagar a", "test_mode": "Modo de prueba: no se cobra nada", "method": "Forma de pago",
    "card": "Tarjeta", "pix": "Pix", "boleto": "Boleto", "quantity": "Cantidad", "total": "Total",
    "card_number": "Número de tarjeta", "card_expiry": "Vencimiento", "card_code": "CVC",
    "card_name": "Nombre en la tarjeta", "pay": "Pagar {amount}",
    "declined_card": "Para ver un rechazo:",
    "declined": "La tarjeta fue rechazada. Pruebe otra tarjeta u otra forma de pago.",
    "not_a_test_card": "Use una de las tarjetas de prueba. Nunca escriba aquí una tarjeta real.",
    "pix_intro": "Genere el código y pague en la aplicación del banco. El pago se confirma después.",
    "pix_make": "Generar código Pix", "pix_code": "Código Pix", "pix_valid": "Válido hasta {when}",
    "boleto_intro": "El boleto puede tardar hasta dos días hábiles en confirmarse.", "boleto_make": "Generar boleto",
    "boleto_number": "Número del boleto", "boleto_due": "Vence el {when}", "copy": "Copiar", "copied": "Copiado",
    "qr_label": "Código QR de Pix", "simulate": "Simular el banco", "paid_now": "Fue pagado",
    "pix_lapse": "Dejar que venza", "boleto_lapse": "Venció sin pago", "state_paid": "Pago confirmado",
    "paid_text": "Recibimos {amount}. ¡Gracias!", "state_waiting": "Esperando el pago",
    "waiting_text": "La compra se completa cuando el banco confirme.", "state_failed": "Pago no realizado",
    "failed_text": "El código venció sin pago. No se cobró nada.", "state_expired": "Sesión vencida",
    "expired_text": "Esta página de pago ya no es válida. No se cobró nada.", "back_success": "Volver a la tienda",
    "back_cancel": "Cancelar y volver", "state_open": "Abierta", "not_found": "Página no encontrada",
    "not_found_text": "Esta dirección no existe en esta tienda de prueba.",
    "powered": "Un Stripe de mentira, para desarrollo", "sessions": "Pagos",
    "no_sessions": "Aún no hay pagos. Cree una sesión por la API y aparecerá aquí.", "what": "Qué",
    "amount": "Importe", "state": "Estado", "actions": "Acciones", "open_page": "Página de pago", "do_pay": "Pagar",
    "do_confirm_pix": "Generar Pix", "do_confirm_boleto": "Generar boleto", "do_fail": "Fallar",
    "do_expire": "Vencer", "do_late": "Pagar de todos modos", "refund_amount": "Devolver (centavos)",
    "do_refund": "Devolver", "do_dispute": "Disputar", "refund": "Devolución", "dispute": "Disputa",
    "do_refund_fail": "Devolución falla", "do_won": "Gana la tienda", "do_lost": "Pierde la tienda",
    "deliveries": "Entregas de eventos", "event": "Evento", "answer": "Respuesta", "attempt": "Intento",
    "when": "Cuándo", "no_deliveries": "No se envió ningún evento.", "goes_to": "Los eventos van a",
    "goes_nowhere": "Los eventos no se envían: falta --webhook-url.", "do_stop": "Detener entregas",
    "do_start": "Reanudar entregas", "do_duplicate": "Duplicar el próximo", "do_lose": "Perder el próximo",
    "do_redeliver": "Reenviar todos", "stopped": "Entregas detenidas.", "newest": "Las {count} más recientes",
    "reload": "Actualizar", "skip": "Ir al contenido",
}  # fmt: skip
LANGUAGES = {"pt-BR": PORTUGUESE, "en": ENGLISH, "es": SPANISH}


def language(locale: str | None) -> str:
    """The page's language for a session's locale, or for a browser's Accept-Language."""
    start = (locale or "").strip().lower()[:2]
    return {"en": "en", "es": "es"}.get(start, DEFAULT)


def money(amount: int, currency: str, spoken: str) -> str:
    whole, cents = (amount, "") if currency in ZERO_DECIMAL else (amount // 100, f"{amount % 100:02d}")
    symbol = SYMBOLS.get(currency, currency.upper())
    if spoken == "en":
        return f"{symbol}{'' if symbol in SYMBOLS.values() else ' '}{whole:,}" + (f".{cents}" if cents else "")
    return f"{symbol}\u00a0{whole:,}".replace(",", ".") + (f",{cents}" if cents else "")


def moment(at: int, spoken: str, *, with_time: bool = True) -> str:
    """São Paulo's time: it is a Brazilian shop."""
    local = datetime.fromtimestamp(at, UTC).astimezone(SAO_PAULO)
    day = local.strftime("%Y-%m-%d" if spoken == "en" else "%d/%m/%Y")
    return f"{day}, {local:%H:%M}" if with_time else day
