// On a phone the panels share one sheet at the bottom: tabs choose one, a button makes it taller. On a wide screen all panels
// are there and the style sheet hides the tabs.

import { byId } from './dom.js';

const names = /** @type {const} */ (['overview', 'feed', 'detail']);

/** @typedef {typeof names[number]} TabName */

/** @param {(open: boolean) => void} onHeight the sheet grew or shrank */
export function createSheet(onHeight) {
  const panels = byId('panels');
  const toggle = byId('sheet-toggle');
  const tabs = names.map((name) => /** @type {HTMLButtonElement} */ (byId(`tab-${name}`)));
  let before = /** @type {TabName} */ ('overview');
  let current = /** @type {TabName} */ ('overview');

  /** @param {TabName} name */
  function choose(name) {
    if (name !== 'detail') before = name;
    current = name;
    for (const [index, tab] of tabs.entries()) {
      const on = names[index] === name;
      tab.setAttribute('aria-selected', String(on));
      tab.tabIndex = on ? 0 : -1;
      byId(names[index] ?? name).classList.toggle('current', on);
    }
  }

  /** @param {boolean} open */
  function setOpen(open) {
    panels.classList.toggle('open', open);
    document.body.classList.toggle('sheet-open', open);
    toggle.setAttribute('aria-expanded', String(open));
    toggle.setAttribute('aria-label', open ? 'Show less' : 'Show more');
    onHeight(open);
  }

  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener('click', () => choose(names[index] ?? 'overview'));
    tab.addEventListener('keydown', (event) => {
      if (event.key !== 'ArrowRight' && event.key !== 'ArrowLeft') return;
      const usable = tabs.filter((other) => !other.disabled);
      const step = event.key === 'ArrowRight' ? 1 : usable.length - 1;
      const next = usable[(usable.indexOf(tab) + step) % usable.length];
      next?.focus();
      next?.click();
    });
  }
  toggle.addEventListener('click', () => setOpen(!panels.classList.contains('open')));
  choose('overview');

  return {
    /** The detail panel was opened or closed. @param {boolean} there */
    detail(there) {
      const tab = /** @type {HTMLButtonElement} */ (byId('tab-detail'));
      tab.disabled = !there;
      if (there) choose('detail');
      else if (current === 'detail') choose(before);
    },
  };
}
