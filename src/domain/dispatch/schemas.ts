/** The words of decisions on the REST wire. */
export { termNames } from '../scoring/rules.ts';
export { choiceReasons, rejectionReasons } from './rules.ts';
