#include "report/summary.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include <echelon/report/plural.hpp>

namespace echelon::report {
namespace {

using analysis::Estimate;
using analysis::Scaling;
using analysis::Study;
using analysis::StudyRow;

/// From which efficiency on POP calls scaling acceptable (pop-coe.eu).
constexpr double acceptable_efficiency = 0.8;

std::string figure(double value) {
  if (!std::isfinite(value)) return "unboundedly many";
  std::string text = fmt::format("{:#.3g}", value);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string percentage(double value) { return figure(100 * value) + "\u00a0%"; }

template <typename Show>
std::string with_interval(const Estimate& estimate, Show show) {
  std::string text = show(estimate.value);
  if (estimate.interval) {
    text += fmt::format(" ({:.0f}\u00a0% confidence: {} to {})", 100 * estimate.interval->confidence,
                        show(estimate.interval->lower), show(estimate.interval->upper));
  }
  return text;
}

/// The row of the largest speedup; of a study of one point, or without a baseline, none.
const StudyRow* best(const Study& study) {
  const StudyRow* found = nullptr;
  for (std::size_t i = 0; i < study.rows.size(); ++i) {
    const StudyRow& row = study.rows[i];
    if (!row.scaling || i == study.baseline) continue;
    if (found == nullptr || row.scaling->speedup.value > found->scaling->speedup.value) found = &row;
  }
  return found;
}

std::string speedup_sentence(const StudyView& view, const StudyRow& row) {
  const StudyRow& base = view.study.rows[*view.study.baseline];
  std::string text =
      view.study.scaling == Scaling::strong
          ? fmt::format("On {}, {} is {} times as fast as on {}", analysis::label(row.ranks, row.threads), view.title,
                        with_interval(row.scaling->speedup, figure), analysis::label(base.ranks, base.threads))
          : fmt::format("On {}, {} does work {} times as fast as on {}, with the work in proportion",
                        analysis::label(row.ranks, row.threads), view.title,
                        with_interval(row.scaling->speedup, figure), analysis::label(base.ranks, base.threads));
  return text + fmt::format(": an efficiency of {}.", with_interval(row.scaling->efficiency, percentage));
}

std::string verdict(const Study& study) {
  const StudyRow* last_acceptable = nullptr;
  const StudyRow* first_not = nullptr;
  for (const StudyRow& row : study.rows) {
    if (!row.scaling) continue;
    if (row.scaling->efficiency.value < acceptable_efficiency) {
      first_not = &row;
      break;
    }
    last_acceptable = &row;
  }
  const std::string limit = fmt::format("the {:.0f}\u00a0% that POP calls acceptable", 100 * acceptable_efficiency);
  if (first_not == nullptr) return fmt::format("Every point scales well: none is below {}.", limit);
  return fmt::format(
      "Efficiency is at or above {} up to {}, and {} on {}.", limit,
      last_acceptable == nullptr ? "no point" : analysis::label(last_acceptable->ranks, last_acceptable->threads),
      percentage(first_not->scaling->efficiency.value), analysis::label(first_not->ranks, first_not->threads));
}

/// Where something costs a noticeable part.
std::string cost(const StudyRow& row) {
  if (!row.pop) return "";
  struct Factor {
    const char* name;
    double value;
  };
  const std::array factors{Factor{"load balance (ranks have unequal work)", row.pop->load_balance.value},
                           Factor{"communication", row.pop->communication.value},
                           Factor{"computation scalability (ranks compute longer for the same work)",
                                  row.pop->computation_scalability.value}};
  const Factor least = std::ranges::min(factors, {}, &Factor::value);
  if (!(least.value < 0.95)) return "";
  return fmt::format("What costs most on {} is {}, a factor of {:.2f}.", analysis::label(row.ranks, row.threads),
                     least.name, least.value);
}

/// A model that is best of all may still be wrong, which shows where it was to predict what it had not seen.
std::string hold_out_words(const analysis::HoldOut& hold_out) {
  if (!hold_out.predicted.interval || hold_out.within_interval) return "";
  return fmt::format(
      "; but fitted without the points on {:.0f} processors it predicts {} too {} there, outside of its "
      "interval: do not rely on what it says of more processors",
      hold_out.predicted.processors, percentage(std::abs(hold_out.relative_error)),
      hold_out.relative_error > 0 ? "much" : "little");
}

std::string model_sentence(const Study& study) {
  if (!study.preferred) return "";
  const analysis::Model& model = study.models[*study.preferred];
  std::string text = fmt::format("Of the models, {} describes the times best, with a serial fraction of {}",
                                 analysis::name(model.kind()), percentage(model.serial_fraction()));
  if (model.base_processors() != 1) {
    text += fmt::format(" of the time on {:.0f} processors", model.base_processors());
  }
  if (model.degrees_of_freedom() > 0 && !model.coefficients().front().interval) {
    text += ", its bound, beyond which the times would have it";
  }
  if (const auto peak = model.peak_processors(); peak && std::isfinite(*peak)) {
    text += fmt::format("; by it, time is least on {:.0f} processors", *peak);
  }
  const auto& hold_out = study.hold_outs[*study.preferred];
  return text + (hold_out ? hold_out_words(*hold_out) : "") + '.';
}

}  // namespace

std::vector<std::string> summary(const StudyView& view) {
  const Study& study = view.study;
  if (!study.baseline) return {"No run succeeded: there is nothing to show but the errors."};
  const StudyRow* row = best(study);
  if (row == nullptr) return {"Only one point has times: there is no speedup to show."};
  std::vector<std::string> sentences{speedup_sentence(view, *row), verdict(study), cost(study.rows.back()),
                                     model_sentence(study)};
  std::erase(sentences, "");
  return sentences;
}

}  // namespace echelon::report
