"""
Would another judge decide otherwise?
=====================================

Sentences differ between two regions. Are like cases judged alike, or is that difference in the cases? And would a model
that is almost as good have said something else about the same person?
"""

# %%
# Sentences of two regions and two sexes are generated: the north has graver cases, and gives half a unit more for the
# same case. Both sexes are judged alike, and women are few.
import numpy as np
import pandas as pd

from trustml.fairness import LInCo, PredictiveMultiplicity, group_metric_frame
from trustml.inspection import LInCoDisplay, MultiplicityDisplay

rng = np.random.default_rng(0)
n = 1500
region = rng.choice(["north", "south"], size=n)
sex = rng.choice(["man", "woman"], size=n, p=[0.93, 0.07])
cases = rng.normal(size=(n, 8))
cases[:, 0] += 0.7 * (region == "north")
severity = cases[:, :3].sum(axis=1) + 0.5 * (region == "north") + 1.5 * rng.normal(size=n)

# %%
# One judge is trained for each group, and all judge the same cases. The raw disagreement looks bad for both: the judges
# of men and women are more than half as far apart as those of the regions. But the judge of a hundred women is noisy:
# all of that is explained by the noise floor, and nothing remains in the debiased value.
audits = {
    name: LInCo(random_state=0).fit(cases, severity, sensitive_features=group)
    for name, group in {"region": region, "sex": sex}.items()
}
pd.DataFrame({name: audit.summary() for name, audit in audits.items()}).round(3)

# %%
# Against what would be found if all were judged alike:
LInCoDisplay.from_estimator(audits["sex"], kind="null")

# %%
LInCoDisplay.from_estimator(audits["region"], kind="null")

# %%
# Who is harsher? The judge of the column compared with that of the row.
both = LInCo(random_state=0, min_group_size=40).fit(
    cases, severity, sensitive_features=pd.DataFrame({"region": region, "sex": sex})
)
LInCoDisplay.from_estimator(both)

# %%
# A model of who goes to prison that never saw the region, audited in place of the judges: one rule for all, so what is
# left is noise and what a straight line for each region cannot follow.
prison = severity > 1
model = PredictiveMultiplicity(epsilon=0.01).fit(cases, prison)
rule = LInCo(random_state=0).audit_predictor(lambda X: model.predict_proba(X)[:, 1], cases, region)
pd.DataFrame({"decisions": audits["region"].summary(), "model": rule.summary()}).round(3)

# %%
# Its error rates differ all the same, because cases differ: like cases alike is not parity.
group_metric_frame(prison, model.predict(cases), region, random_state=0).to_frame().round(3)

# %%
# Many models are within 1 % of the best one's loss. For whom would another have decided otherwise?
MultiplicityDisplay.from_estimator(model, cases)

# %%
# Ambiguity asks whether some of these models changes a case's probability by so much, discrepancy for how many cases
# one and the same model does.
MultiplicityDisplay.from_estimator(model, cases, kind="conflict")
