// Asks for every file again and writes down what really came back; dashed = not what it should be.
const links = [...document.querySelectorAll("a.file")];
const wrong = new Set();
Promise.all(links.map(async (link) => {
  const status = await fetch(link.href, { method: "HEAD", cache: "no-store" }).then((answer) => answer.status, () => 0);
  const code = link.querySelector("b");
  if (code.textContent !== String(status)) {
    wrong.add(link.href);
    link.classList.add("wrong");
    code.textContent = `${status || "no answer"}, not ${code.textContent}`;
  }
})).then(() => {
  const all = new Set(links.map((link) => link.href)).size;
  document.getElementById("checked").textContent =
    wrong.size ? `${wrong.size} of ${all} answers are not what they should be.` : `Just checked: all ${all} answers are as they should be.`;
});
// On a phone the addresses of each picture are folded away until they are asked for.
if (matchMedia("(max-width: 640px)").matches) {
  for (const addresses of document.querySelectorAll("article details")) addresses.open = false;
}
// Some browsers draw a broken icon for a picture that was refused; the plate behind it says more.
addEventListener("load", () => {
  for (const picture of document.images) picture.hidden = picture.naturalWidth === 0;
});
