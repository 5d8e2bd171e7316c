// Asks the operator for a token when the server does not hand them out.

import { byId, setText } from './dom.js';

/** @param {(token: string) => void} onToken */
export function createSignIn(onToken) {
  const dialog = /** @type {HTMLDialogElement} */ (byId('sign-in'));
  const input = /** @type {HTMLInputElement} */ (byId('token'));
  byId('sign-in-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const token = input.value.trim();
    if (token === '') return;
    input.value = '';
    dialog.close();
    onToken(token);
  });
  // There is nothing to see without a token: Escape does not leave.
  dialog.addEventListener('cancel', (event) => event.preventDefault());

  return {
    /** @param {string} problem why the last token did not do; '' at first */
    ask(problem) {
      setText(byId('sign-in-error'), problem);
      if (!dialog.open) dialog.showModal();
      input.focus();
    },
    get open() {
      return dialog.open;
    },
  };
}
