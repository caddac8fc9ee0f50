// catalogue.mjs: what the shop sells. Prices are whole cents.

export const products = [
  {
    id: 'compass', name: 'Brass compass', price_minor: 4900,
    text: 'Points north, and only north. Liquid-damped, with a cover that closes.',
    picture: '<circle cx="60" cy="60" r="40"/><path d="M60 30 68 60 60 90 52 60Z" class="ink"/>',
  },
  {
    id: 'lamp', name: 'Anchor lamp', price_minor: 6450,
    text: 'Burns all night on a small battery. Seen two nautical miles off.',
    picture: '<path d="M42 50h36v38H42z"/><path d="M48 42h24v8H48zM56 28h8v14h-8zM38 88h44v8H38z" class="ink"/>',
  },
  {
    id: 'rope', name: 'Mooring rope', price_minor: 3200,
    text: 'Twenty metres of three-strand polyester with a spliced eye.',
    picture: '<circle cx="60" cy="60" r="38"/><circle cx="60" cy="60" r="26" class="line"/><circle cx="60" cy="60" r="14" class="line"/>',
  },
  {
    id: 'mug', name: 'Enamel mug', price_minor: 1450,
    text: 'Survives falls, storms and the dishwasher.',
    picture: '<path d="M34 38h44v46a8 8 0 0 1-8 8H42a8 8 0 0 1-8-8z"/><path d="M78 50h6a10 10 0 0 1 0 24h-6" class="line"/>',
  },
  {
    id: 'bell', name: 'Ship’s bell', price_minor: 8900,
    text: 'Cast bronze. Everybody aboard will know that it is eight.',
    picture: '<path d="M60 28c18 0 20 16 22 36l6 18H32l6-18c2-20 4-36 22-36z"/><circle cx="60" cy="90" r="6" class="ink"/>',
  },
  {
    id: 'chart', name: 'Harbour chart', price_minor: 2750,
    text: 'Depths, lights and the mark to which a hull may be loaded.',
    picture: '<path d="M30 36l20-6 20 6 20-6v54l-20 6-20-6-20 6z"/><path d="M38 66c8-10 14 4 22-6s12-8 20-4" class="line"/>',
  },
  {
    id: 'knife', name: 'Rigging knife', price_minor: 5600,
    text: 'A sheepsfoot blade and a marlinspike, both of which lock.',
    picture: '<path d="M28 68h34v14H28z"/><path d="M62 68h36c-4 10-14 14-36 14z" class="ink"/>',
  },
  {
    id: 'cap', name: 'Watch cap', price_minor: 2300,
    text: 'Wool from sheep that have never seen the sea either.',
    picture: '<path d="M34 70c0-24 10-36 26-36s26 12 26 36z"/><path d="M30 70h60v16H30z" class="ink"/>',
  },
];

const byId = new Map(products.map((product) => [product.id, product]));

export const productOf = (id) => byId.get(id);

export function priceOf(minor) {
  return `€ ${Math.floor(minor / 100)}.${String(minor % 100).padStart(2, '0')}`;
}
