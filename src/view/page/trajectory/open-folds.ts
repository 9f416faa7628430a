// Folds that the user has opened. A hop that leaves the screen is drawn anew when it comes back.

import { createContext } from "preact";

export interface FoldState {
  readonly isOpen: boolean;
  readonly toggle: () => void;
}

export const OpenFolds = createContext<FoldState>({ isOpen: false, toggle: () => undefined });
