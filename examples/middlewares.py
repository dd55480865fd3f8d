"""The shop's own middleware; a module name as common as it gets collides with nothing."""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler


@web.middleware
async def refuse_foreign_forms(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse forms sent from pages of other sites (cross-site request forgery)."""
    origin = request.headers.get(hdrs.ORIGIN)
    if request.method == "POST" and origin not in (None, str(request.url.origin())):
        raise web.HTTPForbidden(text="Forms of other sites are not accepted here\n")
    return await handler(request)
