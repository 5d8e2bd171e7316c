// The page's settings, which the server sends beside its files.

import { byId, setText } from './dom.js';

/** The page's settings; without them there is nothing to show, and that is said. */
export async function readConfig() {
  try {
    const response = await fetch('config.json');
    if (!response.ok) throw new Error(`status ${response.status}`);
    return await response.json();
  } catch (error) {
    byId('banner').hidden = false;
    byId('banner-action').hidden = true;
    setText(byId('banner-text'), `The settings of the page could not be read: ${error}. Reload to try again.`);
    throw error;
  }
}
