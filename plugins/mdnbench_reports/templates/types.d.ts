// The types that several modules share. `ReportData` is the data that Python embeds in the page: page_data.py writes it.

/** A score as JSON holds it: infinity is a text, because JSON has no infinity, and a missing score is null. */
type StoredScore = number | "inf" | "-inf" | null;

interface Metric {
  name: string;
  title: string;
  unit: string;
  /** Decimal places that are shown. */
  digits: number;
  /** Whether high values are good. */
  higher: boolean;
}

/** The pictures of one image under one noise. */
interface Scene {
  /** Index of the noise. */
  noise: number;
  /** Index of the shot: an image with a seed of the noise. */
  shot: number;
  /** Width and height of the image, in pixels. */
  size: [number, number];
  /** Left, top, width and height of what the pictures show; null when they show the whole image. */
  box: [number, number, number, number] | null;
  /** Number of the picture of each source: `clean`, `noisy`, or a method's index. */
  pictures: Record<string, number | undefined>;
}

interface ReportData {
  metrics: Metric[];
  noises: string[];
  methods: string[];
  /** How many seeds each noise was drawn with. */
  seeds: number;
  /** Image and seed of each shot. */
  shots: [string, number][];
  /** For each noise: the shots in the order in which its scores are stored, hardest first. */
  places: number[][];
  /** For each noise: the methods, best first. */
  ranks: number[][];
  /** For each metric and noise: the scores of all methods in the first place, then in the second, and so on. */
  values: StoredScore[][][];
  /** Status and reason of a cell without a result; the key is `noise:shot:method`, by index. */
  problems: Record<string, [string, string] | undefined>;
  scenes: Scene[];
}

/** An image that can be drawn on a canvas. */
type Layer = ImageBitmap | HTMLCanvasElement;

/** A part of the stage: a canvas with its caption. */
interface Pane {
  root: HTMLElement;
  frame: HTMLElement;
  canvas: HTMLCanvasElement;
  caption: HTMLElement;
  /** What is drawn, the last on top. */
  layers: Layer[];
}

/** Red, green and blue, 0 to 255. */
type Colour = [number, number, number];
