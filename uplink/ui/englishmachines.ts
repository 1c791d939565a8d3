// How a machine becomes a site, in English: by a command, by a code that it shows, or as the right one of two.

export const newSite = {
  title: 'Add a site',
  lead: 'A site is one mail server with its domains and mailboxes.',
  name: 'Name',
  nameHint: 'For people: where it stands or whom it serves. It can be changed.',
  example: 'Berlin office',
  verb: 'Go on',
} as const;

export const device = {
  title: 'Take in a machine',
  lead: 'It shows a code of eight letters, and waits for somebody to type it here.',
  code: 'Code',
  look: 'Look at it',
  how: 'No code yet? Run this on the machine, as root:',
  missing: (code: string) => `No machine shows ${code}`,
  missingNext:
    'It may be mistyped, taken in already, or over: a code is good for 15 minutes. Look at the machine again. If it has given up, run the command there once more.',
  yours: 'Is this your machine?',
  yoursLead: 'It asks to become one of your mail servers.',
  same: 'Your machine shows the same code and the same words:',
  host: 'Calls itself',
  address: 'Asks from',
  asked: 'Asked',
  until: 'Code ends',
  beware: 'Only if you started it yourself',
  bewareNext: 'Did somebody send you this link or this code? Then the machine is theirs, and they would get the mail of the site. Choose “Not mine”.',
  as: 'Which site it becomes',
  newSite: 'A new one',
  name: 'Name of the new site',
  take: 'Take it in',
  notMine: 'Not mine',
  turned: 'The machine was turned away',
  turnedNext: 'Its code is worth nothing any more. Was it yours after all? Then run “mailsite join” there again: it shows another code.',
  notAllowed: 'Your role does not take in machines',
  notAllowedNext: 'An owner or admin can. Send one of them the address of this page; a code is good for 15 minutes.',
} as const;

export const waiting = {
  lead: 'Not joined yet. Three steps, about five minutes.',
  install: 'Install mailsite on the machine',
  installText: 'Any Linux machine with a 64-bit processor and glibc. Copy the one file mailsite to it, then run “mailsite install”.',
  join: 'Paste this on it, as root',
  command: 'the command',
  once: (ahead: string) => `Good for one machine; it expires ${ahead}.`,
  expired: 'The command has expired. Make a new one.',
  again: 'The command was shown when it was made, and is kept nowhere. Make a new one; the old one stops working.',
  make: 'Make a new command',
  watch: 'Watch it appear',
  watching: 'Waiting for the machine. This page changes by itself.',
  taken: 'Your machine has been taken in.',
  takenWatch: 'It fetches its configuration. This page changes by itself, within a minute.',
  takenNext: 'See what “mailsite join” says on the machine. Or make a command, and run that there instead.',
  byCode: 'Or begin on the machine',
  byCodeText: 'Run this there as root. It shows a code, which you type here: nothing secret has to be copied.',
  typeCode: 'Type the code',
  nothing: 'Nothing happens?',
  notAllowed: 'An owner or admin can make the command.',
} as const;

export const arrived = {
  title: 'Joined',
  here: (name: string, version: string) => `${name} is here, running mailsite ${version}`,
  joined: (name: string) => `${name} has joined, and is not connected yet`,
  start: 'If it does not run yet, start it on the machine: “mailsite install”, or “mailsite run”.',
  next: 'Add the first domain',
  nextText: 'Now tell it which mail is its own.',
} as const;

export const wayOut = {
  title: 'What to do now',
  which: 'Find the right machine',
  whichText: 'It is the one whose mailboxes hold the newest mail: as a rule the one that ran all the time, not the one that was copied or restored.',
  stop: 'Stop mailsite on the other one',
  stopText: 'There: “systemctl disable --now mailsite”. Mail that it took meanwhile stays on its disk.',
  join: 'Run this on the right one, as root',
  joinText: 'The machine that runs the command is the site from then on. The other one hears of it within minutes, and takes no mail any more.',
  watching: 'Waiting for the right machine. This page changes by itself.',
  launch: 'The site can go on from a snapshot, on any machine.',
  toSnapshots: 'Choose a snapshot',
} as const;
