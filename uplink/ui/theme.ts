// Light or dark. Runs before the first paint, on its own: what was chosen on this machine, else what the system says.

const key = 'mailsite.theme';
const chosen = localStorage.getItem(key);
if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset['theme'] = chosen;
