/** Elements of a page. Texts are only ever set as text, so no word of a corpus becomes markup. */

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with an id. */
const byId = (id) => document.getElementById(id);

/** Return a new element with attributes, at the end of a parent, with a text. It is of SVG if its parent is. */
function element(name, attributes = {}, parent = null, text = "") {
  const made = document.createElementNS(name === "svg" ? SVG : (parent ?? document.body).namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== "") made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

/** Return the bytes of a text in base64. */
function bytesOf(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}
