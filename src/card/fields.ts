import { cvcLength, hasIssueData } from './brands.ts';

export type FieldName = 'pan' | 'expiry' | 'cvc' | 'postcode' | 'startDate' | 'issueNumber';

/** Digits a field may have; a `pan` ends by its brand, within these. ISO/IEC 7812-1 allows 19, the shortest issued is 12. */
export interface FieldLengths {
  readonly lengthMin: number;
  readonly lengthMax: number;
}

/** In the order they are asked: the number first, because its brand decides the rest. */
export const FIELD_ORDER: readonly FieldName[] = ['pan', 'expiry', 'startDate', 'issueNumber', 'cvc', 'postcode'];

/** The fields this brand needs, out of those the flow asks for; `pan` is always the first. */
export function fieldsFor(brand: string, asked: readonly FieldName[]): readonly FieldName[] {
  return FIELD_ORDER.filter((field) => {
    if (field === 'pan') return true;
    if (!asked.includes(field)) return false;
    if (field === 'cvc') return (cvcLength(brand) ?? 3) > 0;
    if (field === 'startDate' || field === 'issueNumber') return hasIssueData(brand);
    return true;
  });
}

/** `brand` is null only for `pan`, which is asked before it is known. */
export function lengthsOf(field: FieldName, brand: string | null): FieldLengths {
  switch (field) {
    case 'pan':
      return { lengthMin: 12, lengthMax: 19 };
    case 'expiry':
    case 'startDate':
      return { lengthMin: 4, lengthMax: 4 };
    case 'cvc': {
      const length = brand === null ? null : cvcLength(brand);
      return length === null || length === 0
        ? { lengthMin: 3, lengthMax: 4 }
        : { lengthMin: length, lengthMax: length };
    }
    // Digits only: letters of a British or Canadian postcode cannot be keyed. Three digits is the shortest in use.
    case 'postcode':
      return { lengthMin: 3, lengthMax: 10 };
    case 'issueNumber':
      return { lengthMin: 1, lengthMax: 2 };
  }
}
