// What the page says of the model, of its method and of the pictures.

const $ = (id) => document.getElementById(id);

function paragraphs(root, texts) {
  root.replaceChildren(...texts.filter(Boolean).map((text) => {
    const made = document.createElement("p");
    made.textContent = text;
    return made;
  }));
}

function notes(about) {
  const isMouse = about.tracking === "mouse";
  return [
    isMouse ? "" : "This model was trained on gaze, not on the mouse. Here, the rests of your pointer "
      + "are taken for fixations: a mouse is not an eye, and what the page says of you need not hold.",
    about.has_maps ? "" : "This model embeds people and predicts no maps: stage 2 was not trained. "
      + "The page leaves the maps out.",
    isMouse && !about.is_measured ? "How this model does on tracks of this page was not measured." : "",
  ];
}

function method(about) {
  const measured = about.is_measured;
  return [
    "The pictures follow the mouse tracking of OSIE (Jiang, Huang, Duan and Zhao, CVPR 2015): a crowd "
      + "moved the mouse over pictures that were sharp around the pointer alone. The release of its data "
      + "does not say how sharp, nor how much time is between two places. Ours: sharp within 4.5 % of the "
      + "width of a picture, about 36 of 800 pixels, then in steps to a sixteenth of the resolution beyond "
      + "42 %; at most 800 pixels wide; a place every 40 ms, since the crowd has a median of 128 places of a "
      + "picture, which is 39 ms if they looked for 5 s. Each picture begins with the pointer in the middle. "
      + "Places outside of the picture are left out. The model reads every eighth place, as in its training.",
    measured ? `The rings, traits and probabilities were measured on ${about.population.num_people} people of `
      + "that crowd, each track read at 125 places as here. Of people who were not behind the rings, 44, 80 "
      + "and 93 % were inside those of 50, 80 and 95 %." : "",
    "What this does not show: how you look with your eyes, how you look on another day, or anything about your "
      + "health, ability or character. People of other backgrounds than the crowd, and other screens, were not tried.",
  ];
}

function rule(about) {
  return [
    "The band is the range in which the trait lies with a probability of 80 %, as the share of people who have "
      + "less of it; the dot is the best estimate. A trait is told if the band does not contain the middle. If it "
      + "does, and the model predicts the trait well (a correlation of at least .5 with people whom it had not "
      + "seen), you are about as most others. Else, and always below a correlation of .3, it is not known.",
    about.is_measured ? `Of ${about.num_unseen} people who were not in the training, the band held the trait for `
      + "78 to 85 %." : "The width of the band is the standard deviation of people times the root of 1 - r², of "
      + "people with more pictures than you: it is wider than this in truth.",
  ];
}

function compared(about) {
  return [
    about.is_measured ? "Of pairs of two rounds of eight pictures by people who were not in the training, 90 % of "
      + "those of one person, and 19 % of those of two people, had a probability above 50 %. Of 12 people "
      + "in a laboratory, it was 75 and 33 %: people of other groups are told apart less well. All looked at "
      + "their pictures in one go, as you did: on another day, less may be left of this." : "The probability was "
      + "calibrated on the data of the training. A pointer in this page is another measurement: it need not hold.",
  ];
}

export function fillTexts(about) {
  $("model").textContent = `model ${about.model}`;
  document.querySelectorAll(".seconds").forEach((one) => { one.textContent = about.seconds; });
  paragraphs($("notes"), notes(about));
  paragraphs($("method-text"), method(about));
  paragraphs($("traits-rule"), rule(about));
  paragraphs($("again-rule"), compared(about));
  $("credit-list").replaceChildren(...about.pictures.map((one) => {
    const made = document.createElement("li");
    const known = [one.author, one.licence, one.source].filter(Boolean).join("; ");
    made.textContent = known ? `${one.title}: ${known}.` : `${one.title}: your picture.`;
    return made;
  }));
}
