// Keeps a page fresh. The page itself is drawn by the daemon: this asks for it again when `/live` says that it is out of
// date, and puts the parts that differ in their place. It says so when the daemon is gone. `/` goes to the search.
(() => {
  'use strict';
  const body = document.body;
  const gone = document.getElementById('gone');
  const pause = document.getElementById('pause');
  // The daemon's clock, which may differ from this one.
  let ahead = Number(body.dataset.now) - Date.now();
  const every = Number(body.dataset.every) * 1000;
  const now = () => Date.now() + ahead;

  // As `age` in view.rs.
  const age = (at) => {
    const seconds = Math.trunc((now() - at) / 1000);
    const s = Math.abs(seconds);
    const text =
      s < 120 ? `${s} s` : s < 7200 ? `${Math.trunc(s / 60)} min` : s < 172800 ? `${Math.trunc(s / 3600)} h` : `${Math.trunc(s / 86400)} d`;
    return seconds < 0 ? `in ${text}` : `${text} ago`;
  };
  const tick = () => {
    for (const time of document.querySelectorAll('time[datetime]')) {
      const text = age(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
    if (lost) tell();
  };

  // Since when the daemon has not answered.
  let lost = 0;
  let loaded = Date.now();
  const tell = () => {
    const seconds = Math.trunc((Date.now() - loaded) / 1000);
    gone.textContent = `▲ versweep doesn't answer since ${new Date(lost).toLocaleTimeString()}. What you see is ${seconds} s old.`;
    gone.hidden = false;
  };
  const lose = () => {
    lost ||= Date.now();
    tell();
  };
  const find = () => {
    lost = 0;
    gone.hidden = true;
    gone.textContent = '';
  };

  // What tells an element from others of its kind, to give the focus back to.
  const name = (element) => element.id || element.getAttribute('href') || element.ariaLabel || '';
  const put = (old, fresh) => {
    const held = old.contains(document.activeElement) && document.activeElement !== old ? document.activeElement : null;
    const chosen = getSelection();
    if (!chosen.isCollapsed && old.contains(chosen.anchorNode)) return;
    const known = new Set([...old.querySelectorAll('[data-key]')].map((row) => row.dataset.key));
    const open = new Set([...old.querySelectorAll('details[open]')].map((one) => one.id));
    const left = old.scrollLeft;
    old.replaceChildren(...fresh.childNodes);
    for (const one of old.querySelectorAll('details')) one.open = open.has(one.id);
    for (const row of old.querySelectorAll('[data-key]')) if (!known.has(row.dataset.key)) row.classList.add('fresh');
    old.scrollLeft = left;
    if (held) [...old.querySelectorAll(held.localName)].find((one) => name(one) === name(held))?.focus({ preventScroll: true });
  };
  const plain = (element) => {
    const copy = element.cloneNode(true);
    for (const time of copy.querySelectorAll('time')) time.textContent = '';
    for (const row of copy.querySelectorAll('.fresh')) row.classList.remove('fresh');
    for (const one of copy.querySelectorAll('details')) one.open = false;
    return copy.innerHTML.replaceAll(' class=""', '');
  };

  const parts = (main) => [...main.querySelectorAll('[data-live]')].map((one) => one.id).join();

  let asking = false;
  let stale = false;
  const refresh = async () => {
    stale = false;
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      // A device that has left the inventory is no daemon that is gone: its page says so.
      if (!answer.ok && answer.status !== 404) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      if (page.body.dataset.now) ahead = Number(page.body.dataset.now) - Date.now();
      body.dataset.seen = page.body.dataset.seen ?? '';
      loaded = Date.now();
      // What was empty until now, or a failure that is over, comes and goes as a whole.
      const [here, there] = [document, page].map((one) => one.getElementById('main'));
      if (parts(here) !== parts(there)) put(here, there);
      for (const fresh of page.querySelectorAll('[data-live]')) {
        const old = document.getElementById(fresh.id);
        if (!old) continue;
        if (plain(old) !== plain(fresh) || old.id === 'age') put(old, fresh);
      }
      document.title = page.title;
      find();
      tick();
    } catch {
      lose();
      stale = true;
    }
    setTimeout(() => {
      asking = false;
      if (stale) want();
    }, every);
  };
  const paused = () => pause.getAttribute('aria-pressed') === 'true';
  const want = () => {
    stale = true;
    if (!asking && !paused() && !document.hidden) refresh();
  };

  let stream = null;
  const listen = () => {
    stream = new EventSource(`${document.documentElement.dataset.root}live`);
    stream.addEventListener('open', () => {
      if (lost) want();
    });
    // At its beginning the stream tells what there is: something may have come since the page was drawn.
    stream.addEventListener('alive', (event) => {
      if (event.data && event.data !== body.dataset.seen) want();
    });
    stream.addEventListener('news', want);
    stream.addEventListener('error', () => {
      lose();
      // It tries again by itself, unless it was refused.
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => document.hidden || listen(), 5000);
    });
  };
  // A page that nobody sees keeps no connection: browsers have six for a host.
  document.addEventListener('visibilitychange', () => {
    stream?.close();
    if (document.hidden) return;
    listen();
    want();
  });
  addEventListener('pagehide', () => stream?.close());

  addEventListener('keydown', (event) => {
    const typing = event.target.closest('input, select, textarea');
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      document.getElementById('search').focus();
    } else if (event.key === 'Escape' && typing) {
      typing.blur();
    }
  });

  if (!every) return;
  pause.hidden = false;
  pause.addEventListener('click', () => {
    const stop = !paused();
    pause.setAttribute('aria-pressed', String(stop));
    if (!stop && stale) want();
  });
  setInterval(tick, 1000);
  listen();
})();
