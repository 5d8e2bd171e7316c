// The page's policy says that no text may become markup (require-trusted-types-for). Leaflet makes one harmless piece of
// markup while it loads, to see whether the browser draws SVG; this lets exactly that through and nothing else, ever.
// A classic script, before Leaflet's.
{
  const { trustedTypes } = /** @type {any} */ (globalThis);
  const createHTML = (/** @type {string} */ markup) => (markup === '<svg/>' ? markup : null);
  trustedTypes?.createPolicy('default', { createHTML });
}
