import { get } from './api.js';
import { emptiness } from './ui.js';

// Asks for something older brokers do not have: null then, and the page says so instead of failing.
export async function getIfThere(path, signal) {
  try {
    return await get(path, signal);
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

export const notGiven = (what) => emptiness(`This broker does not give ${what}.`);
