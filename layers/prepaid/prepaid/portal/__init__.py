"""The subscription page: HTML for managers. The function `portal` reads; `checkout` takes codes and sells."""
