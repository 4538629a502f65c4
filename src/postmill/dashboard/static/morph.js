// Makes a part of the page like a fresh one, and leaves alone what a person is busy with: what is focused, selected,
// typed, scrolled or open. A node that stays the same stays in the page.
export function isChosen(node) {
  const selection = getSelection();
  return !!selection && !selection.isCollapsed && selection.containsNode(node, true);
}

const nameOf = node => node.id || node.dataset?.key;
const holds = { DETAILS: ["open"], DIALOG: ["open"], INPUT: ["value", "checked"], OPTION: ["selected"] };

export function morph(from, to) {
  if (from.isEqualNode(to)) return;
  if (from.nodeName !== to.nodeName) return from.replaceWith(document.importNode(to, true));
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (!isChosen(from)) from.nodeValue = to.nodeValue;
    return;
  }
  attributes(from, to, holds[from.nodeName] ?? []);
  if (from.nodeName === "TEXTAREA" || from === document.activeElement && from.nodeName === "SELECT") return;
  children(from, to);
}

function attributes(from, to, left) {
  for (const name of new Set([...from.getAttributeNames(), ...to.getAttributeNames()])) {
    const value = to.getAttribute(name);
    if (left.includes(name) || from.getAttribute(name) === value) continue;
    if (value === null) from.removeAttribute(name); else from.setAttribute(name, value);
  }
}

// Named nodes keep their identity wherever they move to; the others are matched in their order.
function children(from, to) {
  const fresh = [...to.childNodes], kept = new Set(fresh.map(nameOf)), named = new Map();
  for (const node of [...from.childNodes]) {
    const name = nameOf(node);
    if (name && kept.has(name)) named.set(name, node); else if (name) node.remove();
  }
  let next = from.firstChild;
  for (const wanted of fresh) {
    const name = nameOf(wanted), alike = next && !nameOf(next) && next.nodeName === wanted.nodeName;
    const own = name ? named.get(name) : alike ? next : null;
    if (!own) from.insertBefore(document.importNode(wanted, true), next);
    else if (own === next) next = next.nextSibling;
    else if (from.moveBefore) from.moveBefore(own, next);
    else from.insertBefore(own, next);
    if (own) morph(own, wanted);
  }
  while (next) {
    const rest = next.nextSibling;
    next.remove();
    next = rest;
  }
}
