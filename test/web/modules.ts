/**
 * The page's own modules, which are plain JavaScript for the browser (checked by web/tsconfig.json). Loaded by address, so that
 * the server's type check does not follow them.
 */
const load = (name: string) => import(new URL(`../../web/public/js/${name}.js`, import.meta.url).href);

export const format = await load('format');
export const motion = await load('motion');
export const wire = await load('wire');
export const measure = await load('measure');
export const state = await load('state');
export const trips = await load('trips');
export const connection = await load('connection');
export const api = await load('api');
export const safety = await load('safety');
export const loader = await load('loader');
export const lines = await load('lines');
