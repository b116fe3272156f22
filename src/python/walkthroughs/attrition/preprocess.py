import pandas

raw = pandas.read_csv("attrition_raw.csv")
tidy = raw.drop(columns="employee").dropna()
tidy["overtime"] = (tidy["overtime"] == "yes").astype(int)
tidy["left"] = (tidy["left"] == "yes").astype(int)
tidy = pandas.get_dummies(tidy, columns=["department"], dtype=int)
tidy.to_csv("attrition_preprocessed.csv", index=False)
