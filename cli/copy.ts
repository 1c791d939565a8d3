// What is said of a copy of a joined site that came out of a snapshot: it is not the machine that its portal knows, nothing
// stops both from taking mail, and there are two ways out.

interface Copy {
  readonly portal: string;
  /** As its portal calls it. */
  readonly site: string;
}

/** `data`: the folder of the copy. */
export const waysOut = ({ portal }: Pick<Copy, 'portal'>, data: string): readonly [string, string] => [
  `to take its place, launch the site from a snapshot at ${portal}, or make a new claim for it there, and give the claim to mailsite join CLAIM --data ${data}`,
  `to keep this copy apart from ${portal}, mailsite rehome CLAIM --key KIT --data ${data}, with a claim of another portal`,
];

/** For the one who has just restored it. */
export function copyWarning(copy: Copy, data: string): string {
  const [replace, apart] = waysOut(copy, data);
  return [
    `THIS IS A COPY. It is site ${copy.site} of ${copy.portal}, which does not know of this machine. Both take mail when both run:`,
    'see that the machine before is off, and stays off, before this one starts.',
    `  - ${replace}`,
    `  - ${apart}`,
    `Without its portal it serves mail as it is; its configuration changes with mailsite apply FILE --key KIT --data ${data}.`,
  ].join('\n');
}
