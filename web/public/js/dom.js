// The only way this page makes elements: text is always text. There is no innerHTML anywhere, and the page's policy
// (require-trusted-types-for) makes the browser refuse one.

/**
 * @param {string} tag
 * @param {{class?: string, text?: string, title?: string, colour?: string, attrs?: Record<string, string>,
 *   onClick?: () => void}} [options] `colour`: name of a custom property of the style sheet, given to the element as --c
 * @param {readonly (Node | null)[]} [children]
 */
export function h(tag, options = {}, children = []) {
  const element = document.createElement(tag);
  if (options.class !== undefined) element.className = options.class;
  if (options.text !== undefined) element.textContent = options.text;
  if (options.title !== undefined) element.title = options.title;
  if (options.colour !== undefined) setColour(element, options.colour);
  for (const [name, value] of Object.entries(options.attrs ?? {})) element.setAttribute(name, value);
  if (element instanceof HTMLButtonElement) element.type = 'button';
  if (options.onClick !== undefined) element.addEventListener('click', options.onClick);
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/** @param {HTMLElement} element @param {string} colour letters, digits, `_` and `-`; anything else (a status that this page
 *   does not know may hold anything) leaves the colour unset */
export function setColour(element, colour) {
  if (/^[\w-]+$/.test(colour)) element.style.setProperty('--c', `var(--${colour}, var(--muted))`);
}

/** An element of index.html. @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element;
}

/** Writes a text only when it changed: the browser lays nothing out anew. @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** An id that may be too long for its line: cut in the middle on the screen, whole in the DOM. @param {string} id */
export function idText(id) {
  const tail = id.length > 16 ? id.slice(-8) : '';
  return h('span', { class: 'id', title: id }, [
    h('span', { text: id.slice(0, id.length - tail.length) }),
    h('span', { text: tail }),
  ]);
}
