// Runs once for all tabs of a browser: holds their one stream, and passes on what it says.
// A tab says which topics it shows; one that is hidden says that it shows none.
const base = new URL(".", location).pathname.replace(/static\/$/, "");
const shown = new Map();
const known = {};
let source = null, open = "", state = "opening", tries = 0, timer = 0;

const tell = (port, said) => port.postMessage(said);
const tellAll = said => { for (const port of shown.keys()) tell(port, said); };
const become = now => { state = now; tellAll({ state }); };

function follow() {
  const topics = [...new Set([...shown.values()].flat())].sort().slice(0, 200);
  const query = topics.map(topic => "topic=" + encodeURIComponent(topic)).join("&");
  if (query === open && source && source.readyState !== EventSource.CLOSED) return;
  clearTimeout(timer);
  source?.close();
  source = null;
  open = query;
  if (!query) return become("paused");
  become("opening");
  source = new EventSource(`${base}live?${query}`);
  source.onopen = () => { tries = 0; become("live"); };
  source.onmessage = ({ data }) => {
    if (state === "lost") become("live");
    const news = JSON.parse(data);
    Object.assign(known, news);
    tellAll({ news });
  };
  source.addEventListener("lost", () => become("lost"));
  source.onerror = () => {
    become("lost");
    if (source?.readyState === EventSource.CLOSED)
      timer = setTimeout(follow, Math.min(30_000, 1000 * 2 ** tries++) * (0.5 + Math.random()));
  };
}

onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data: topics }) => {
    if (topics.length) {
      shown.set(port, topics);
      const news = Object.fromEntries(topics.filter(topic => topic in known).map(topic => [topic, known[topic]]));
      tell(port, { state, news });
    } else shown.delete(port);
    follow();
  };
};
