#include "runtime/report/context_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/report/html_page.h"
#include "runtime/report/html_text.h"
#include "runtime/report/number_text.h"
#include "runtime/report/run_label.h"

namespace orthant {
namespace {

constexpr double kFaintest = 0.08;   // opacity of the least activation that is seen
constexpr double kStrongest = 0.75;  // text stays legible on it

// A token as it is read: line breaks as a sign, so that a context stays one paragraph.
std::string token_html(std::string_view token) {
  std::string shown;
  for (const char byte : token) {
    if (byte == '\n') {
      shown += "⏎";
    } else if (byte != '\r') {
      shown += byte == '\t' ? ' ' : byte;
    }
  }
  return escape(shown);
}

std::string context_html(const ActivatingContext& context, double max_activation) {
  std::string text;
  for (size_t i = 0; i < context.tokens.size(); ++i) {
    const double activation = context.activations[i];
    const bool is_active = std::isfinite(activation) && activation > 0.0 && max_activation > 0.0;
    if (!is_active && i != context.peak) {
      text += token_html(context.tokens[i]);
      continue;
    }
    const double share = is_active ? std::min(activation / max_activation, 1.0) : 0.0;
    text += fmt::format("<span class=\"t{}\" style=\"--a:{:.2f}\" title=\"{}\">{}</span>",
                        i == context.peak ? " peak" : "", kFaintest + (kStrongest - kFaintest) * share,
                        number_text(activation), token_html(context.tokens[i]));
  }
  const std::string place = context.document < 0 ? ""
                                                 : fmt::format(" title=\"document {}, position {}\"",
                                                               context.document, context.position);
  return fmt::format(
      "<div class=\"context\"><span class=\"value\"{}>{}</span><span class=\"text\">{}</span></div>", place,
      number_text(context.activations[context.peak]), text);
}

// The scale of the backgrounds: what the file says, or else the greatest activation that is shown.
double scale_of(const LatentExamples& latent) {
  if (std::isfinite(latent.max_activation) && latent.max_activation > 0.0) return latent.max_activation;
  double greatest = 0.0;
  for (const ActivatingContext& context : latent.contexts) {
    for (const double activation : context.activations) greatest = std::max(greatest, activation);
  }
  return greatest;
}

std::string tokens_html(const char* what, const std::vector<std::string>& tokens) {
  if (tokens.empty()) return "";
  std::string html =
      fmt::format("<div class=\"context\"><span class=\"value\">{}</span><span class=\"text\">", what);
  for (size_t i = 0; i < tokens.size(); ++i) {
    html += (i == 0 ? "" : " · ") + fmt::format("<code>{}</code>", token_html(tokens[i]));
  }
  return html + "</span></div>";
}

std::string intervals_html(const std::vector<ActivationInterval>& intervals, double scale) {
  if (intervals.empty()) return "";
  std::string html;
  for (const ActivationInterval& interval : intervals) {
    html += fmt::format("<p class=\"faint\">{} to {}: {} % of tokens</p>", number_text(interval.low),
                        number_text(interval.high), number_text(100.0 * interval.share));
    for (const ActivatingContext& context : interval.contexts) html += context_html(context, scale);
  }
  return collapsible("examples by activation", html, false);
}

std::string latent_html(const LatentExamples& latent) {
  const double scale = scale_of(latent);
  const std::string score =
      std::isfinite(latent.score) ? "<span>score " + number_text(latent.score) + "</span>" : "";
  std::string html = fmt::format(
      "<div class=\"latent\"><h4>Latent {}{}<span>fires in {} of tokens</span><span>max activation "
      "{}</span></h4>",
      latent.latent, score, std::isfinite(latent.density) ? number_text(100.0 * latent.density) + " %" : "–",
      number_text(scale));
  for (const ActivatingContext& context : latent.contexts) html += context_html(context, scale);
  html += tokens_html("likelier", latent.likelier) + tokens_html("less likely", latent.unlikelier);
  return html + intervals_html(latent.intervals, scale) + "</div>\n";
}

}  // namespace

std::string context_section(std::span<const RunSummary> runs) {
  std::string html;
  bool is_first = true;
  for (size_t i = 0; i < runs.size(); ++i) {
    const LatentContexts& contexts = runs[i].contexts;
    if (contexts.latents.empty()) continue;
    std::string cards;
    for (const LatentExamples& latent : contexts.latents) cards += latent_html(latent);
    const std::string summary =
        fmt::format("{} of {} latents, {}", contexts.latents.size(), contexts.latents_in_file,
                    contexts.by_score ? "the best by score first" : "from the most to the least frequent");
    html += fmt::format("<h3>{}</h3>{}", run_label(runs[i], i), collapsible(summary, cards, is_first));
    is_first = false;
  }
  if (html.empty()) return "";
  return "<p class=\"faint\">The stronger the background, the more active the latent; hover over a token for "
         "its "
         "activation. The underlined token is the one the context was chosen for, its activation stands at "
         "the "
         "left.</p>" +
         html;
}

}  // namespace orthant
