#include "runtime/report/page_style.h"

namespace orthant {

const std::string_view kPageStyle = R"(:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f7f8fa; --ink: #1b1f24; --faint: #5d6673; --rule: #dfe3e8; --link: #0b5cad;
  --heat: 240, 140, 20; --best: #0a6b3d;
  --s0: #0b6bcb; --s1: #d9480f; --s2: #2b8a3e; --s3: #ae3ec9; --s4: #b08900; --s5: #0c8599; --s6: #c2255c; --s7: #5f6b7a;
}
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171c; --panel: #1c2027; --ink: #e4e7eb; --faint: #9aa5b1; --rule: #333a44; --link: #74b3f2;
  --heat: 255, 150, 40; --best: #63d69a;
  --s0: #5aa9f5; --s1: #ff8a5b; --s2: #69c77a; --s3: #da86ee; --s4: #e0b83a; --s5: #4fc3d4; --s6: #f2749f; --s7: #a3aebb;
} }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header, main { max-width: 1240px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 28px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 0 0 12px; }
h3 { font-size: 15px; margin: 18px 0 8px; }
p { margin: 0 0 10px; max-width: 80ch; }
p.faint, .faint { color: var(--faint); }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 10px 0; margin-top: 10px;
  border-top: 1px solid var(--rule); border-bottom: 1px solid var(--rule); font-size: 14px; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
section { padding: 26px 0 4px; }
.runs { display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 0; padding: 0; list-style: none; font-size: 14px; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }
.scroll { overflow-x: auto; margin-bottom: 12px; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 16px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
td { overflow-wrap: anywhere; min-width: 6em; }
thead th { border-bottom: 2px solid var(--rule); white-space: nowrap; }
tbody th { font-weight: 400; white-space: nowrap; }
th.number, td.number { text-align: right; white-space: nowrap; padding-left: 16px; }
td.best { font-weight: 650; color: var(--best); }
code, pre { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { background: var(--panel); padding: 10px 14px; border-radius: 6px; overflow-x: auto; margin: 8px 0; }
details { margin: 6px 0 12px; }
summary { cursor: pointer; color: var(--link); font-size: 14px; padding: 3px 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 470px), 1fr)); gap: 14px; }
.plot { width: 100%; height: auto; max-width: 760px; background: var(--panel); border-radius: 8px; }
.plot text { fill: var(--ink); font-family: inherit; font-size: 12px; }
.plot .title { font-size: 14px; font-weight: 600; }
.plot .tick, .plot .note, .plot .label { fill: var(--faint); }
.plot .tick, .plot .note { font-size: 11px; }
.plot .grid { stroke: var(--rule); stroke-width: 1; }
.plot .axis { stroke: var(--faint); stroke-width: 1; }
.plot .mark { stroke: var(--faint); stroke-width: 1.2; stroke-dasharray: 4 3; }
.plot .line { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; }
.plot .dot { fill: var(--c); }
.plot .bar { fill: var(--c); fill-opacity: 0.38; stroke: var(--c); stroke-width: 0.6; }
.plot .dashed { stroke-dasharray: 5 3; }
.swatch { background: var(--c); }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); }
.s4 { --c: var(--s4); } .s5 { --c: var(--s5); } .s6 { --c: var(--s6); } .s7 { --c: var(--s7); }
.latent { border: 1px solid var(--rule); border-radius: 8px; padding: 10px 14px; margin: 10px 0; break-inside: avoid; }
.latent h4 { margin: 0 0 6px; font-size: 14px; }
.latent h4 span { font-weight: 400; color: var(--faint); margin-left: 14px; }
.context { display: grid; grid-template-columns: 4.5em 1fr; gap: 12px; padding: 4px 0; border-top: 1px solid var(--rule); }
.context .value { color: var(--faint); text-align: right; font-variant-numeric: tabular-nums; font-size: 13px; }
.context .text { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 14px; line-height: 1.65; }
.context .t { background: rgba(var(--heat), var(--a)); border-radius: 3px; padding: 1px 0; }
.context .peak { font-weight: 650; text-decoration: underline; text-underline-offset: 3px; }
.remarks { border-left: 3px solid var(--s1); padding-left: 14px; margin: 0 0 10px; list-style: none; }
@media print {
  :root { color-scheme: light;
    --paper: #ffffff; --panel: #ffffff; --ink: #000000; --faint: #444c56; --rule: #c9ced6; --link: #000000;
    --heat: 240, 140, 20; --best: #000000;
    --s0: #0b6bcb; --s1: #d9480f; --s2: #2b8a3e; --s3: #ae3ec9; --s4: #b08900; --s5: #0c8599; --s6: #c2255c; --s7: #5f6b7a; }
  body { font-size: 11pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  header, main { max-width: none; padding: 0; }
  nav, summary { display: none; }
  section, .plot, tr { break-inside: avoid-page; }
  section { break-inside: auto; }
  .scroll { overflow: visible; }
  .plots { grid-template-columns: 1fr 1fr; gap: 8px; }
  .plot { border: 1px solid var(--rule); }
}
)";

}  // namespace orthant
