"""QR codes as SVG within the page. An image from Stripe would tell Stripe about each visit."""

from markupsafe import Markup

# The margin that readers need around a code, in modules.
# https://www.qrcode.com/en/howto/code.html
QUIET = 4


def qr_code(text: str) -> Markup:
    """The QR code of a text, black on white whatever the page's colours are."""
    import segno  # noqa: PLC0415 - heavy, and few pages show a code

    rows = segno.make_qr(text, error="m").matrix
    side = len(rows) + 2 * QUIET
    # One path of one stroke for each dark module.
    path = "".join(
        f"M{x + QUIET} {y + QUIET}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark
    )
    return Markup(  # noqa: S704 - made of numbers alone
        f'<svg class="qr" viewBox="0 0 {side} {side}" aria-hidden="true" shape-rendering="crispEdges">'
        f'<rect width="{side}" height="{side}" fill="#fff"/><path d="{path}" fill="#000"/></svg>'
    )
