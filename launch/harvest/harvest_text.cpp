#include "launch/harvest/harvest_text.h"

#include "launch/program/required_field.h"

namespace orthant::launch {

models::TokenRows read_text(const Harvest& config, const models::Tokenizer& tokenizer) {
  const models::TextSource source{
      .path = required_field("text", config.text()),
      .field = config.text_field(),
      .split = models::text_split_from_name(config.text_split()),
      .openthoughts = models::template_prompts(config.text_template(), config.text_prompts())};
  const models::RowOptions options{
      .context = config.context(), .tokens = config.tokens(), .bos = config.bos(), .pack = config.pack()};
  return {source, options, &tokenizer};
}

}  // namespace orthant::launch
