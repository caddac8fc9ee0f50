// cart.mjs: the cart lives in a cookie ("compass:2,lamp:1"), so that every instance knows it.

import { productOf } from './catalogue.mjs';

const COUNT_MAX = 99;

// Whatever the cookie says that does not exist is left out.
export function cartOf(cookieHeader = '') {
  const cart = new Map();
  const cookie = cookieHeader.split(';').map((part) => part.trim())
    .find((part) => part.startsWith('cart='));
  for (const entry of (cookie ?? 'cart=').slice('cart='.length).split(',')) {
    const [id, count] = entry.split(':');
    if (productOf(id) !== undefined && /^[1-9][0-9]?$/.test(count)) cart.set(id, Number(count));
  }
  return cart;
}

export function addToCart(cart, id) {
  return new Map(cart).set(id, Math.min((cart.get(id) ?? 0) + 1, COUNT_MAX));
}

export function removeFromCart(cart, id) {
  const rest = new Map(cart);
  rest.delete(id);
  return rest;
}

export function totalMinor(cart) {
  return [...cart].reduce((sum, [id, count]) => sum + productOf(id).price_minor * count, 0);
}

export function cookieOf(cart) {
  const value = [...cart].map(([id, count]) => `${id}:${count}`).join(',');
  return `cart=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800`;
}

export const emptyCookie = () => 'cart=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0';
